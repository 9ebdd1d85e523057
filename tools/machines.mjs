// npm run machines: prepares what real machines need on this host, once per user and version, and says where a host cannot.

import { complain, say } from '../src/processes/terminal-text.mjs';
import { setUp } from './setup/set-up.mjs';

const env = await setUp({ tools: ['machines'] });
const machines = JSON.parse(env.AGENT_STACKS_MACHINE_TOOLS ?? '{}');
if (machines.missing === undefined) {
  say('Real machines are prepared: npm start uses them (SANDBOX_MACHINES=simulated does without).');
} else {
  complain('Simulated machines go on working.');
  process.exitCode = 1;
}
