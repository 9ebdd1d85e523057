// npm run observability [-- --trace]: renews docs/observability/dashboard.json, and with --trace the picture
// of a trace, from a purchase on real machines.
import { runNode24 } from './setup/node24.mjs';
import { setUp } from './setup/set-up.mjs';

const isTrace = process.argv.includes('--trace');
const env = await setUp({ tools: isTrace ? ['pulumi', 'ansible', 'machines'] : [] });
await runNode24('tools/observability/main.ts', process.argv.slice(2), { env });
