// npm run check: format, lint, types. Quiet unless something is wrong.

import { complain, say } from '../src/processes/terminal-text.mjs';
import { run } from './setup/run.mjs';
import { root, setUp } from './setup/set-up.mjs';

if (process.argv.length > 2) {
  complain(`npm run check takes no options, got ${process.argv.slice(2).join(' ')}`);
  process.exit(2);
}
const env = await setUp({ tools: [] });
const checks = [
  { name: 'format and lint', command: 'biome', args: ['check', '--colors=off', '.'] },
  { name: 'types', command: 'tsc', args: ['-p', '.'] },
];
const results = await Promise.all(
  checks.map(async ({ name, command, args }) => ({
    name,
    ...(await run(command, args, { cwd: root, env })),
  })),
);
for (const { name, code, output } of results) {
  if (code !== 0) say(output.trimEnd());
  say(`${name}: ${code === 0 ? 'ok' : 'failed'}`);
}
process.exitCode = results.every(({ code }) => code === 0) ? 0 : 1;
