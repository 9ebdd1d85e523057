// npm run machines: sets up real machines on this host, once per user and version, or says why the host
// cannot have them.

import { complain, say } from '../src/processes/terminal-text.mjs';
import { setUp } from './setup/set-up.mjs';

const env = await setUp({ tools: ['machines'] });
const machines = JSON.parse(env.AGENT_STACKS_MACHINE_TOOLS ?? '{}');
if (machines.missing === undefined) {
  say('Real machines are set up: npm start uses them (unless SANDBOX_MACHINES=simulated).');
} else {
  complain('Simulated machines still work.');
  process.exitCode = 1;
}
