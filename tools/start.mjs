// npm start: sets up what is missing, then runs the service (src/main.ts). The service shuts down cleanly
// when this process ends, however it ends, because it sees the channel close.

import { complain } from '../src/processes/terminal-text.mjs';
import { runNode24, serviceEnvironment, serviceOptions } from './setup/node24.mjs';
import { setUp } from './setup/set-up.mjs';
import { startOptionsProblem } from './setup/start-options.mjs';

const args = process.argv.slice(2);
const problem = startOptionsProblem(args);
if (problem !== null) {
  complain(problem);
  process.exit(args.includes('--help') ? 0 : 2);
}
// The sandbox's GitHub runs the workflow on this machine.
const { EXECUTOR, MODE, SANDBOX_GITHUB } = process.env;
const isSandbox = !MODE || MODE === 'sandbox';
const runsWorkflows = EXECUTOR === 'github-actions' && isSandbox && SANDBOX_GITHUB !== 'no-token';
const env = await setUp({
  readsConfiguration: true,
  tools: ['pulumi', 'ansible', ...(runsWorkflows ? /** @type {const} */ (['act']) : [])],
});
await runNode24('src/main.ts', args, {
  env: { ...env, ...serviceEnvironment },
  channel: true,
  nodeOptions: serviceOptions,
});
