import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeJob } from './setup.ts';

/** In place of Node: what it was called with, and what it was given. */
const node = `
echo "node $*: \${AGENT_ENVIRONMENT-no environment}, file \${AGENT_ENVIRONMENT_FILE-none}, parent $(ps -o args= -p "$PPID")"
exit 7`;

test('the work takes the place of the script, and its exit code is the step’s', async () => {
  const { run, replace } = await makeJob();
  await replace('node', node);
  const ended = await run('run-operation.sh', { environment: { AGENT_ENVIRONMENT_FILE: '/etc/agent.env' } });
  expect(ended).toMatchObject({
    code: 7,
    out: expect.stringMatching(/^node tools\/runner\.mjs: no environment, file \/etc\/agent\.env, parent /),
  });
  // The script is no longer there: a signal that ends the step ends the work.
  expect(ended.out).not.toContain('run-operation.sh');
});

test('a secret environment becomes a file that its owner alone can read', async () => {
  const { temp, run, replace } = await makeJob();
  await replace('node', node);
  const environment = { AGENT_ENVIRONMENT: "A=1\nB='$(id)' \\n", AGENT_ENVIRONMENT_FILE: '' };
  const path = join(temp, 'agent.env');
  expect((await run('run-operation.sh', { environment })).out).toContain(`no environment, file ${path},`);
  expect(await readFile(path, 'utf8')).toBe("A=1\nB='$(id)' \\n\n");
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});
