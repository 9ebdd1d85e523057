// npm run agents -- <command>: the operator's commands. They speak to a running service, so the packages suffice.
import { runNode24 } from './setup/node24.mjs';
import { setUp } from './setup/set-up.mjs';

await runNode24('src/cli/agents.ts', process.argv.slice(2), { env: await setUp({ tools: [] }) });
