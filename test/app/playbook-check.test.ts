import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createPlaybookKey } from '../../src/app/playbook-check.ts';
import { Secret } from '../../src/secret.ts';

let folder: string;
let key: () => string;
const at = (...names: string[]) => join(folder, ...names);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'playbook-check-'));
  for (const name of ['playbook/roles', 'shared/tasks', 'bin', 'mine/tasks'])
    mkdirSync(at(name), { recursive: true });
  writeFileSync(at('playbook', 'site.yml'), '[]');
  writeFileSync(at('shared', 'tasks', 'main.yml'), '[]');
  writeFileSync(at('mine', 'tasks', 'main.yml'), '[]');
  writeFileSync(at('bin', 'ansible-playbook'), 'version 1');
  symlinkSync(at('shared'), at('playbook', 'roles', 'linked'));
  symlinkSync(at('playbook'), at('playbook', 'roles', 'loop'));
  symlinkSync(at('nowhere'), at('playbook', 'broken'));
  const software = { variables: { AGENT_ROLE: at('mine') }, paths: [at('mine')] };
  const playbook = { folder: at('playbook'), software, key: new Secret('key'), path: '/nonexistent' };
  key = createPlaybookKey({ ...playbook, ansible: at('bin') });
});
afterEach(() => rmSync(folder, { recursive: true }));

test('stays the same while nothing changes', () => {
  const before = key();
  expect(key()).toBe(before);
});

test.each([
  ['the playbook is changed', () => writeFileSync(at('playbook', 'site.yml'), '[ ]')],
  ['a role of the operator is changed', () => writeFileSync(at('mine', 'tasks', 'main.yml'), '[ ]')],
  ['what a symlink leads to is changed', () => writeFileSync(at('shared', 'tasks', 'main.yml'), '[ ]')],
  ['a file is added', () => writeFileSync(at('mine', 'tasks', 'more.yml'), '')],
  ['a file is removed', () => rmSync(at('mine', 'tasks', 'main.yml'))],
  [
    'a file is replaced by one of the same size',
    () => {
      writeFileSync(at('new'), '{}');
      renameSync(at('new'), at('playbook', 'site.yml'));
    },
  ],
  ['another Ansible is installed', () => writeFileSync(at('bin', 'ansible-playbook'), 'version 2')],
])('changes in a running process when %s', (_, change) => {
  const before = key();
  change();
  expect(key()).not.toBe(before);
});
