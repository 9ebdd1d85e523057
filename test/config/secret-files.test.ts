import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { EnvironmentReader } from '../../src/config/environment-reader.ts';
import { passphrase } from '../../src/config/fields.ts';
import { SECRETS } from '../../src/config/secret-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-secrets-'));
afterAll(() => rmSync(folder, { recursive: true }));

function fileWith(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

test('each secret can be in a file, without the line end that editors add', () => {
  for (const name of SECRETS) {
    const reader = new EnvironmentReader({ [`${name}_FILE`]: fileWith(name, `secret-of-${name}\n`) });
    expect(reader.secret(name)?.reveal()).toBe(`secret-of-${name}`);
    expect(reader.problems).toEqual([]);
  }
});

test('of a passphrase every other character counts', () => {
  const reader = new EnvironmentReader({ PULUMI_CONFIG_PASSPHRASE_FILE: fileWith('odd', ' two words\n') });
  expect(reader.exactSecret('PULUMI_CONFIG_PASSPHRASE', passphrase)).toBeUndefined();
  expect(reader.problems.join()).toContain('has blanks or quotes around it');
});

test.each([
  ['a missing file', { API_TOKEN_FILE: join(folder, 'none') }, 'API_TOKEN_FILE: cannot be read: ENOENT'],
  ['an empty file', { API_TOKEN_FILE: fileWith('empty', '\n') }, 'is empty'],
  ['a long file', { API_TOKEN_FILE: fileWith('long', 'x'.repeat(70_000)) }, 'too long to be a secret'],
  ['both', { API_TOKEN_FILE: fileWith('one', 'x'), API_TOKEN: 'y' }, 'API_TOKEN and API_TOKEN_FILE'],
])('%s is a problem', (_what, environment, problem) => {
  const { problems } = new EnvironmentReader(environment);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(problem);
});

test('a variable that is no secret is not read from a file', () => {
  const reader = new EnvironmentReader({ MODE_FILE: fileWith('mode', 'live') });
  expect(reader.text('MODE')).toBeUndefined();
});
