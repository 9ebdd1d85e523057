// npm run bench [-- --only provision,webhook,aging,sweep,machines --rounds N --purchases N --json FILE]: sets up what the service needs and
// measures it against the Automation API used as its documentation shows it. docs/performance.md says what and how.
import { runNode24 } from './setup/node24.mjs';
import { setUp } from './setup/set-up.mjs';

const env = await setUp({ tools: ['pulumi', 'ansible'] });
await runNode24('tools/bench/main.ts', process.argv.slice(2), { env });
