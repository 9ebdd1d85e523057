import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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
const LIMIT_MS = 120_000;

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

interface Deployment {
  deployment: { secrets_providers: { type: string }; resources: object[] };
}
const STACK = ['--stack', 'agent-a1'];
const read = async (env: Record<string, string>, ...more: string[]): Promise<Deployment> =>
  JSON.parse(await cli(['stack', 'export', ...STACK, ...more], env));

/** A stack of an earlier version: encrypted by the passphrase, with a secret among its outputs. */
async function createPassphraseStack(): Promise<void> {
  await cli(['stack', 'rm', ...STACK, '--yes', '--force'], withKeys()).catch(() => {});
  await cli(['stack', 'init', 'agent-a1', '--no-select'], environment());
  const exported = await read(environment());
  const type = 'pulumi:pulumi:Stack';
  const urn = `urn:pulumi:agent-a1::agents::${type}::agents-agent-a1`;
  const secret = {
    '4dabf18193072939515e22adb298388d': '1b47061264138c4ac30d75fd1eb44270',
    plaintext: `"${SECRET}"`,
  };
  exported.deployment.resources = [{ urn, custom: false, type, outputs: { secret } }];
  writeFileSync(join(folder, 'deployment.json'), JSON.stringify(exported));
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
    const moved = await read(withKeys());
    expect(moved.deployment.secrets_providers).toMatchObject({
      type: 'cloud',
      state: { url: keys.provider },
    });
    expect(JSON.stringify(moved)).not.toContain(SECRET);
    expect(JSON.stringify(await read(withKeys(), '--show-secrets'))).toContain(SECRET);
    await move('passphrase');
    const back = await read(environment(), '--show-secrets');
    expect(back.deployment.secrets_providers.type).toBe('passphrase');
    expect(JSON.stringify(back)).toContain(SECRET);
  },
  LIMIT_MS,
);

test.skipIf(whyNot !== null)(
  'a move that is killed at any moment leaves a stack that opens, and the next run completes it',
  async () => {
    await createPassphraseStack();
    for (const afterMs of [100, 500, 1_000]) {
      const args = ['stack', 'change-secrets-provider', keys.provider, ...STACK, '--non-interactive'];
      const child = spawn(pulumi!, args, { cwd: folder, env: withKeys(), stdio: 'ignore' });
      await sleep(afterMs);
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      expect(JSON.stringify(await read(withKeys(), '--show-secrets'))).toContain(SECRET);
    }
    await move(keys.provider);
    expect((await read(withKeys())).deployment.secrets_providers.type).toBe('cloud');
  },
  LIMIT_MS,
);

test.skipIf(whyNot !== null)(
  'a stack that a run creates is encrypted by the configured key from the beginning',
  async () => {
    await cli(['stack', 'rm', ...STACK, '--yes', '--force'], withKeys()).catch(() => {});
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
    expect((await read(withKeys())).deployment.secrets_providers).toMatchObject({ type: 'cloud' });
  },
  LIMIT_MS,
);
