#!/usr/bin/env node
// npm run agents -- <command>: the operator's commands. They talk to a running service and need only the
// packages; `doctor --install` sets up the rest.
import { runNode24 } from './setup/node24.mjs';
import { setUp } from './setup/set-up.mjs';

const args = process.argv.slice(2);
const installs = args[0] === 'doctor' && args.includes('--install');
const env = await setUp({
  tools: installs ? ['pulumi', 'ansible'] : [],
  // The file may be the one that is to be written.
  leavesEnvironmentFile: args[0] === 'init',
});
await runNode24('src/cli/agents.ts', args, { env });
