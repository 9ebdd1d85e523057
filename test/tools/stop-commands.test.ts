import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const script = `
import { stopWorkflowCommands } from './tools/setup/stop-commands.mjs';
stopWorkflowCommands(process.env);
console.log('::add-mask::everything');
process.exit(3);
`;

function run(environment: Record<string, string>): string[] {
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: root,
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? '', ...environment },
  });
  expect(status).toBe(3);
  return stdout.split('\n').filter((line) => line !== '');
}

test('on a GitHub runner nothing that is printed is a command, until the process ends', () => {
  const [first, hostile, last] = run({ GITHUB_ACTIONS: 'true' });
  const [, token] = /^::stop-commands::([0-9a-f]{48})$/.exec(first!) ?? [];
  expect(token).toBeDefined();
  expect(hostile).toBe('::add-mask::everything');
  expect(last).toBe(`::${token}::`);
  expect(run({ GITHUB_ACTIONS: 'true' })[0]).not.toBe(first);
});

test('elsewhere nothing is said', () => {
  expect(run({})).toEqual(['::add-mask::everything']);
});
