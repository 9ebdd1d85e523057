// npm run runner: executes one operation on a GitHub runner; --set-up only prepares it.
import { runNode24 } from './setup/node24.mjs';
import { setUp } from './setup/set-up.mjs';
import { stopWorkflowCommands } from './setup/stop-commands.mjs';

stopWorkflowCommands(process.env);
const env = await setUp({ tools: ['pulumi', 'ansible', 'provider-plugins'] });
if (process.argv[2] !== '--set-up') await runNode24('src/app/runner.ts', process.argv.slice(2), { env });
