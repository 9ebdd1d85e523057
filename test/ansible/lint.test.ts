import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';

const linter = process.env.AGENT_STACKS_ANSIBLE_LINT || undefined;
const folder = mkdtempSync(join(tmpdir(), 'ansible-lint-'));
const playbooks = join(folder, 'ansible');
// A copy, because the linter leaves folders beside what it reads.
cpSync(join(import.meta.dirname, '../../ansible'), playbooks, { recursive: true });
afterAll(() => rmSync(folder, { recursive: true }));

async function lint(): Promise<{ code: number; said: string }> {
  const options = {
    cwd: playbooks,
    env: {
      PATH: `${linter}:${process.env.PATH}`,
      HOME: folder,
      ANSIBLE_HOME: join(folder, 'home'),
      ANSIBLE_CONFIG: join(playbooks, 'ansible.cfg'),
      LC_ALL: 'C.UTF-8',
    },
  };
  const args = ['--offline', '--strict', '--profile', 'production', '--nocolor', 'site.yml'];
  const run = promisify(execFile)(join(linter as string, 'ansible-lint'), args, options);
  return run.then(
    ({ stdout, stderr }) => ({ code: 0, said: stdout + stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      code: error.code,
      said: error.stdout + error.stderr,
    }),
  );
}

it('the playbook and its roles satisfy ansible-lint in its production profile', { timeout: 90_000 }, async ({
  skip,
}) => {
  skip(linter === undefined, 'ansible-lint could not be set up (see the start of npm test)');
  const { code, said } = await lint();
  expect({ code, said }).toEqual({
    code: 0,
    said: expect.stringMatching(/Passed: 0 failure\(s\), 0 warning\(s\)/),
  });
  const written = readdirSync(playbooks, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.yml') && !name.startsWith('.ansible'),
  );
  expect(Number(/in (\d+) files processed/.exec(said)?.[1])).toBeGreaterThanOrEqual(written.length);
});

it('and it reports it if they do not', { timeout: 90_000 }, async ({ skip }) => {
  skip(linter === undefined, 'ansible-lint could not be set up (see the start of npm test)');
  writeFileSync(
    join(playbooks, 'roles/agent/tasks/binary.yml'),
    '---\n- name: "Be careless"\n  shell: "true"\n',
  );
  const { code, said } = await lint();
  expect(code).not.toBe(0);
  expect(said).toContain('roles/agent/tasks/binary.yml');
});
