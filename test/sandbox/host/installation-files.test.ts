import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadInstallationSecrets } from '../../../sandbox/host/installation-secrets.ts';
import {
  readSandboxFile,
  removeSandboxFile,
  type SandboxFile,
  writeSandboxFile,
} from '../../../sandbox/host/sandbox-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'agent-stacks-files-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const mode = (file: string) => statSync(file).mode & 0o777;

test('secrets are created once, readable by their owner only, and stay', () => {
  const data = join(folder, 'data');
  const made = loadInstallationSecrets(data);
  expect(loadInstallationSecrets(data)).toEqual(made);
  expect(mode(join(data, 'secrets.json'))).toBe(0o600);
  expect(mode(data)).toBe(0o700);
  expect(readdirSync(data)).toEqual(['secrets.json']);
  // Hetzner's own clients reject a token of another length.
  expect(made.sandboxTokens.hcloudToken).toHaveLength(64);
  const other = loadInstallationSecrets(join(folder, 'other'));
  const texts = [made, other].flatMap(({ sandboxTokens, ...rest }) => [
    ...Object.values(rest),
    ...Object.values(sandboxTokens),
  ]);
  expect(new Set(texts).size).toBe(texts.length);
});

test('processes that start at once on an empty folder share the same secrets', async () => {
  const module = new URL('../../../sandbox/host/installation-secrets.ts', import.meta.url).href;
  const script = `const { loadInstallationSecrets } = await import(${JSON.stringify(module)});
    console.log(JSON.stringify(loadInstallationSecrets(process.argv[1])));`;
  const printed = await Promise.all(
    Array.from({ length: 4 }, () =>
      promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, join(folder, 'data')]),
    ),
  );
  expect(new Set(printed.map(({ stdout }) => stdout)).size).toBe(1);
  expect(readdirSync(join(folder, 'data'))).toEqual(['secrets.json']);
});

test('sandbox.json is complete or absent, and readable by its owner only', () => {
  expect(readSandboxFile(folder)).toBeUndefined();
  const content = Object.fromEntries(
    [
      'url',
      'apiToken',
      'stripeApiUrl',
      'stripeWebhookSecret',
      'githubApiUrl',
      'githubCallbackSecret',
      'hcloudEndpoint',
      'hcloudToken',
      'tailscaleBaseUrl',
      'tailscaleApiKey',
      'tailscaleOauthClientId',
      'tailscaleOauthClientSecret',
      'tailscaleLoginServer',
      'stripeApiKey',
      'databaseUrl',
      'pulumiBackendUrl',
      'pulumiPassphrase',
    ].map((name) => [name, `the ${name}`]),
  ) as SandboxFile;
  writeSandboxFile(folder, content);
  expect(mode(join(folder, 'sandbox.json'))).toBe(0o600);
  // Exactly the contract's fields, because other tools read the file.
  expect(JSON.parse(readFileSync(join(folder, 'sandbox.json'), 'utf8'))).toEqual(content);
  expect(readSandboxFile(folder)).toEqual(content);
  expect(readdirSync(folder)).toEqual(['sandbox.json']);
  removeSandboxFile(folder);
  removeSandboxFile(folder);
  expect(readSandboxFile(folder)).toBeUndefined();
});
