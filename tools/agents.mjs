#!/usr/bin/env node
// npm run agents -- <command>: the operator's commands. They talk to a running service and need only the
// packages.
import { runNode24 } from './setup/node24.mjs';
import { setUp } from './setup/set-up.mjs';

await runNode24('src/cli/agents.ts', process.argv.slice(2), { env: await setUp({ tools: [] }) });
