import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readFiles, SECRETS } from '../../src/config/credential-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-secrets-'));
afterAll(() => rmSync(folder, { recursive: true }));

function fileWith(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

test('each secret can be in a file, without the line end that editors add', () => {
  for (const name of SECRETS) {
    const { environment, problems } = readFiles({ [`${name}_FILE`]: fileWith(name, ` secret of ${name}\n`) });
    expect(environment[name]).toBe(` secret of ${name}`);
    expect(problems).toEqual([]);
  }
});

test.each([
  ['a missing file', { API_TOKEN_FILE: join(folder, 'none') }, 'API_TOKEN_FILE cannot be read: ENOENT'],
  ['an empty file', { API_TOKEN_FILE: fileWith('empty', '\n') }, 'API_TOKEN_FILE is empty'],
  ['a long file', { API_TOKEN_FILE: fileWith('long', 'x'.repeat(70_000)) }, 'it is longer than 64 KiB'],
  ['a file without an end', { API_TOKEN_FILE: '/dev/zero' }, 'it is longer than 64 KiB'],
  ['both', { API_TOKEN_FILE: fileWith('one', 'x'), API_TOKEN: 'y' }, 'API_TOKEN and API_TOKEN_FILE'],
])('%s is a problem', (_what, environment, problem) => {
  const { problems } = readFiles(environment);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(problem);
});
