// npm run bench [-- --only provision,webhook,aging,sweep,machines,pages --rounds N --purchases N --json FILE
// --secrets-provider ADDRESS]: sets
// up what the service needs and compares it with the Automation API used as documented. docs/performance.md
// has the details.
import { runNode24 } from './setup/node24.mjs';
import { setUp } from './setup/set-up.mjs';

const env = await setUp({ tools: ['pulumi', 'ansible'] });
await runNode24('tools/bench/main.ts', process.argv.slice(2), { env });
