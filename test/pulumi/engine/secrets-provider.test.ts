import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSdk, type PulumiSdk } from '../../../src/pulumi/engine/run-stack.ts';
import { runToEnd } from '../../support/commands.ts';
import { type KeyService, noKeyService, startKeyService } from '../../support/key-service.ts';

const pulumi = process.env.AGENT_STACKS_PULUMI || undefined;
const whyNot = pulumi === undefined ? 'no Pulumi CLI: run the tests with npm test' : noKeyService;
const SECRET = 'a secret of the state';
const LIMIT_MS = 240_000;

let folder: string;
let keys: KeyService;
let sdk: PulumiSdk;
beforeAll(async () => {
  if (whyNot !== null) return;
  folder = mkdtempSync(join(tmpdir(), 'secrets-provider-'));
  writeFileSync(join(folder, 'Pulumi.yaml'), 'name: agents\nruntime: nodejs\n');
  keys = await startKeyService();
  sdk = await openSdk({ pulumi: pulumi!, workDir: join(folder, 'work') }, undefined);
}, LIMIT_MS);
afterAll(async () => {
  await keys?.stop();
  if (folder !== undefined) rmSync(folder, { recursive: true });
});

const environment = (more: Record<string, string> = {}) => ({
  PATH: process.env.PATH ?? '',
  PULUMI_BACKEND_URL: `file://${folder}`,
  PULUMI_HOME: join(folder, 'home'),
  PULUMI_CONFIG_PASSPHRASE: 'the passphrase',
  PULUMI_SKIP_UPDATE_CHECK: 'true',
  PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER: '1',
  ...more,
});
const withKeys = () => environment(keys.environment);

async function cli(args: string[], env: Record<string, string>): Promise<string> {
  const { code, stdout, stderr } = await runToEnd(pulumi!, [...args, '--non-interactive'], {
    cwd: folder,
    env,
  });
  // Without this file the CLI must find everything in the state.
  rmSync(join(folder, 'Pulumi.agent-a1.yaml'), { force: true });
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

const STACK = ['--stack', 'agent-a1'];
const opened = (env: Record<string, string>) => cli(['stack', 'export', '--show-secrets', ...STACK], env);

/** The state as it is stored, and what it says of its secrets. */
function stored() {
  const text = readFileSync(join(folder, '.pulumi', 'stacks', 'agents', 'agent-a1.json'), 'utf8');
  const { checkpoint } = JSON.parse(text) as {
    checkpoint: { latest: { secrets_providers: { type: string; state: { url?: string } } } };
  };
  return { text, provider: checkpoint.latest.secrets_providers };
}

/** A stack of an earlier version: encrypted by the passphrase, with a secret among its outputs. */
async function createPassphraseStack(): Promise<void> {
  await cli(['stack', 'init', 'agent-a1', '--no-select'], environment());
  const type = 'pulumi:pulumi:Stack';
  const urn = `urn:pulumi:agent-a1::agents::${type}::agents-agent-a1`;
  const secret = {
    '4dabf18193072939515e22adb298388d': '1b47061264138c4ac30d75fd1eb44270',
    plaintext: `"${SECRET}"`,
  };
  const manifest = { time: '2026-01-01T00:00:00Z', magic: '', version: '' };
  const resources = [{ urn, custom: false, type, outputs: { secret } }];
  const deployment = { manifest, secrets_providers: stored().provider, resources };
  writeFileSync(join(folder, 'deployment.json'), JSON.stringify({ version: 3, deployment }));
  await cli(['stack', 'import', ...STACK, '--file', 'deployment.json'], environment());
}

const move = (to: string) =>
  sdk.run(
    { verb: 'refresh', stackName: 'agent-a1', environment: withKeys(), moveSecretsTo: to },
    () => {},
    new AbortController().signal,
  );

test.skipIf(whyNot !== null)(
  `a stack moves from the passphrase to a key and back, with its secrets${whyNot === null ? '' : ` (${whyNot})`}`,
  async () => {
    await createPassphraseStack();
    await move(keys.provider);
    expect(stored().provider).toMatchObject({ type: 'cloud', state: { url: keys.provider } });
    expect(stored().text).not.toContain(SECRET);
    expect(await opened(withKeys())).toContain(SECRET);
    await move('passphrase');
    expect(stored().provider.type).toBe('passphrase');
    expect(await opened(environment())).toContain(SECRET);
  },
  LIMIT_MS,
);

test.skipIf(whyNot !== null)(
  'a move that is killed at any moment leaves the old state or the new one, and the next run completes it',
  async () => {
    for (const afterMs of [100, 400, 800]) {
      const args = ['stack', 'change-secrets-provider', keys.provider, ...STACK, '--non-interactive'];
      const child = spawn(pulumi!, args, { cwd: folder, env: withKeys(), stdio: 'ignore' });
      await sleep(afterMs);
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      expect(['passphrase', 'cloud']).toContain(stored().provider.type);
    }
    rmSync(join(folder, 'Pulumi.agent-a1.yaml'), { force: true });
    await move(keys.provider);
    expect(stored().provider.type).toBe('cloud');
    expect(await opened(withKeys())).toContain(SECRET);
  },
  LIMIT_MS,
);

test.skipIf(whyNot !== null)(
  'a stack that a run creates is encrypted by the configured key from the beginning',
  async () => {
    rmSync(join(folder, '.pulumi', 'stacks', 'agents', 'agent-a1.json'));
    const task = {
      verb: 'up' as const,
      mayBeNew: true,
      program: { stack: 'foundation' as const, inputs: { project: 'default' } },
      stackName: 'agent-a1',
      environment: withKeys(),
      secretsProvider: keys.provider,
    };
    // There are no providers, so the run itself fails; the stack is there by then.
    await expect(sdk.run(task, () => {}, new AbortController().signal)).rejects.toThrow();
    expect(stored().provider.type).toBe('cloud');
  },
  LIMIT_MS,
);
