import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { getFailureCode, RetryableError, ShortageError } from '../../../src/errors.ts';
import type { Progress, StackTask } from '../../../src/pulumi/engine/messages.ts';
import { openSdk, type PulumiSdk } from '../../../src/pulumi/engine/run-stack.ts';
import { engineError, StackLockedError } from '../../../src/pulumi/errors.ts';
import { StateKeyError } from '../../../src/pulumi/state-key-error.ts';
import { tryStateKey } from '../../../src/pulumi/try-state-key.ts';
import { Secret } from '../../../src/secret.ts';
import { runToEnd } from '../../support/commands.ts';
import { type FaultyKeyService, startFaultyKeyService } from '../../support/faulty-key-service.ts';

const pulumi = process.env.AGENT_STACKS_PULUMI || undefined;
const LIMIT_MS = 120_000;

describe.skipIf(pulumi === undefined)(
  'Pulumi’s CLI, and a key service that fails',
  { timeout: LIMIT_MS },
  () => {
    let folder: string;
    let keys: FaultyKeyService;
    let sdk: PulumiSdk;
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'unusable-key-'));
      mkdirSync(join(folder, 'state'));
      writeFileSync(join(folder, 'Pulumi.yaml'), 'name: agents\nruntime: nodejs\n');
      keys = await startFaultyKeyService();
      sdk = await openSdk({ pulumi: pulumi!, workDir: join(folder, 'work') }, undefined);
      await init('agent-key', '--secrets-provider', keys.provider);
      await init('agent-plain');
    }, LIMIT_MS);
    afterAll(() => {
      keys.stop();
      rmSync(folder, { recursive: true });
    });

    const environment = () => ({
      PATH: process.env.PATH ?? '',
      PULUMI_BACKEND_URL: `file://${join(folder, 'state')}`,
      PULUMI_HOME: join(folder, 'home'),
      PULUMI_CONFIG_PASSPHRASE: 'the passphrase',
      PULUMI_SKIP_UPDATE_CHECK: 'true',
      PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER: '1',
      ...keys.environment,
    });

    async function init(name: string, ...options: string[]): Promise<void> {
      const args = ['stack', 'init', name, '--no-select', '--non-interactive', ...options];
      const { code, stderr } = await runToEnd(pulumi!, args, { cwd: folder, env: environment() });
      if (code !== 0) throw new Error(stderr);
      rmSync(join(folder, `Pulumi.${name}.yaml`), { force: true });
    }

    const providerOf = (name: string) => {
      const stored = readFileSync(join(folder, 'state/.pulumi/stacks/agents', `${name}.json`), 'utf8');
      return (JSON.parse(stored) as { checkpoint: { latest: { secrets_providers: { type: string } } } })
        .checkpoint.latest.secrets_providers.type;
    };

    async function run(task: Partial<StackTask> & { verb: StackTask['verb']; stackName: string }) {
      const told: Progress[] = [];
      const tell = (progress: Progress) => void told.push(progress);
      const whole = { environment: environment(), ...task } as StackTask;
      await sdk.run(whole, tell, new AbortController().signal);
      return told;
    }
    const failure = (task: Parameters<typeof run>[0]) =>
      run(task).then(
        () => expect.unreachable('it did not fail'),
        (error: unknown) => error as Error,
      );

    test.each([
      ['refresh', 'disabled', /DisabledException/],
      ['destroy', 'deleted', /KMSInvalidStateException/],
      ['refresh', 'expired', /ExpiredTokenException/],
    ] as const)('a %s with a key that is %s', async (verb, mood, says) => {
      keys.mood = mood;
      const error = await failure({ verb, stackName: 'agent-key' });
      expect(error).toBeInstanceOf(StateKeyError);
      expect(error.message).toMatch(
        /^The key of PULUMI_SECRETS_PROVIDER cannot be used: operation error KMS/,
      );
      expect(error.message).toMatch(says);
    });

    test('a new stack with the key is not created', async () => {
      keys.mood = 'disabled';
      const program = { stack: 'foundation' as const, inputs: { project: 'default' } };
      const secretsProvider = keys.provider;
      const error = await failure({
        verb: 'up',
        mayBeNew: true,
        program,
        stackName: 'agent-new',
        secretsProvider,
      });
      expect(error).toBeInstanceOf(StateKeyError);
    });

    test('a stack that cannot move works on under the passphrase, and only the move itself fails', async () => {
      keys.mood = 'disabled';
      const task = { stackName: 'agent-plain', moveSecretsTo: keys.provider };
      const told = await run({ verb: 'refresh', ...task });
      const warning = {
        kind: 'diagnostic',
        severity: 'warning',
        message: expect.stringMatching(/is disabled/),
      };
      expect(told).toContainEqual(warning);
      expect(providerOf('agent-plain')).toBe('passphrase');
      const error = await failure({ verb: 'move', ...task });
      expect(error).toBeInstanceOf(StateKeyError);
      expect(error.message).toMatch(/cannot be used: operation error KMS: Encrypt.*DisabledException/);
      keys.mood = 'works';
      await run({ verb: 'refresh', ...task });
      expect(providerOf('agent-plain')).toBe('cloud');
    });

    test('a locked stack is not taken for one with an unusable key', async () => {
      keys.mood = 'works';
      await init('agent-locked');
      const locks = join(folder, 'state/.pulumi/locks/organization/agents/agent-locked');
      mkdirSync(locks, { recursive: true });
      const lock = { pid: 1, username: 'u', hostname: 'h', timestamp: '2026-01-01T00:00:00Z' };
      writeFileSync(join(locks, 'x.json'), JSON.stringify(lock));
      const task = { stackName: 'agent-locked', moveSecretsTo: keys.provider };
      expect(await failure({ verb: 'refresh', ...task })).toBeInstanceOf(StackLockedError);
    });

    test('a check of the key leaves nothing, and says what the service says', async () => {
      const secret = ([name, value]: [string, string]) => [name, new Secret(value)];
      const use = {
        url: keys.provider,
        secrets: { environment: Object.fromEntries(Object.entries(keys.environment).map(secret)) },
        pulumi,
        environment: { PATH: process.env.PATH ?? '' },
      };
      keys.mood = 'works';
      await tryStateKey(use);
      keys.mood = 'expired';
      await expect(tryStateKey(use)).rejects.toThrow(StateKeyError);
      await expect(tryStateKey(use)).rejects.toThrow(/ExpiredTokenException/);
    });

    // The last one: it stops the service.
    test('a key service that is away', async () => {
      keys.stop();
      const error = await failure({ verb: 'refresh', stackName: 'agent-key' });
      expect(error).toBeInstanceOf(StateKeyError);
      expect(error.message).toMatch(/connection refused/);
    });
  },
);

test('an engine process reports it by name, and nothing of the work is wrong', () => {
  const error = engineError({ name: 'StateKeyError', message: 'x' });
  expect(error).toBeInstanceOf(StateKeyError);
  expect(error).toBeInstanceOf(ShortageError);
  expect(error).toBeInstanceOf(RetryableError);
  expect(getFailureCode(error)).toBe('state-key-unusable');
});
