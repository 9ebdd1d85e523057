import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { STATE_KEY_CURE } from '../../../src/operations/cures.ts';
import { type Probe, runProbe } from '../../../src/reconcile/checks/probe.ts';
import { stateKeyProbe } from '../../../src/reconcile/checks/state-key-probe.ts';
import { Secret } from '../../../src/secret.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'state-key-probe-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A probe whose Pulumi CLI does this, in the shell. */
function probe(does: string, url = 'awskms://k?region=eu-central-1'): Probe {
  const pulumi = join(folder, 'pulumi');
  writeFileSync(pulumi, `#!/bin/sh\n${does}\n`);
  chmodSync(pulumi, 0o700);
  const secrets = { url, before: undefined, environment: { AWS_SECRET_ACCESS_KEY: new Secret('own') } };
  return stateKeyProbe({ secrets, pulumi, environment: { PATH: process.env.PATH ?? '' } });
}

test('a usable key, by its own credentials, in a state of its own', async () => {
  const does = `test "$AWS_SECRET_ACCESS_KEY" = own && case "$PULUMI_BACKEND_URL" in file://*/state) exit 0;; esac
    exit 1`;
  expect(await runProbe(probe(does))).toMatchObject({ ok: true, cure: null });
});

test('an unusable one holds nothing back, names what is wrong and its cure, and is not tried at once again', async () => {
  const refused =
    'error: could not create secrets manager for new stack: secrets (code=NotFound): no such key';
  const one = probe(`echo '${refused}' >&2; exit 255`);
  const check = { ok: false, detail: expect.stringMatching(/: no such key$/), cure: STATE_KEY_CURE };
  expect(await runProbe(one)).toMatchObject(check);
  writeFileSync(join(folder, 'pulumi'), '#!/bin/sh\nexit 0\n');
  expect(await runProbe(one)).toMatchObject(check);
  expect(one.blocks('provision')).toBe(false);
});

test('a key of Azure without its version is named, although it works', async () => {
  const check = await runProbe(probe('exit 0', 'azurekeyvault://agents.vault.azure.net/keys/k'));
  expect(check).toMatchObject({ ok: false, detail: expect.stringContaining('names no version') });
  expect(check.cure).toContain('azurekeyvault://agents.vault.azure.net/keys/k/VERSION');
});
