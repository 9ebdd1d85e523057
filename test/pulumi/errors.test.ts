import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PulumiCommand } from '@pulumi/pulumi/automation/index.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CancelledError,
  getFailureCode,
  LostError,
  PermanentError,
  RateLimitedError,
  RetryableError,
  reportError,
  reportedError,
  ShortageError,
} from '../../src/errors.ts';
import { findProcesses, killProcesses } from '../../src/processes/find.ts';
import {
  engineError,
  NotJoinedError,
  pulumiError,
  SoldOutError,
  StackExistsError,
  StackLockedError,
  StackNotFoundError,
  summary,
} from '../../src/pulumi/errors.ts';
import { StateKeyError } from '../../src/pulumi/state-key-error.ts';
import { findPulumi } from '../sandbox/providers/agent-stack.ts';

const pulumi = findPulumi();

describe('the CLI’s own errors', () => {
  const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-cli-'));
  const environment = {
    PATH: process.env.PATH!,
    PULUMI_BACKEND_URL: `file://${folder}/state`,
    PULUMI_HOME: join(folder, 'home'),
    PULUMI_CONFIG_PASSPHRASE: 'right',
    PULUMI_SKIP_UPDATE_CHECK: 'true',
  };
  beforeAll(async () => {
    if (pulumi === undefined) return;
    for (const name of ['state', 'project']) mkdirSync(join(folder, name));
    writeFileSync(join(folder, 'project', 'Pulumi.yaml'), 'name: agents\nruntime: nodejs\n');
    await run(['stack', 'init', 'agent-a']);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs the CLI as the Automation API does, with its kind of error. */
  async function run(args: string[], overrides: Record<string, string> = {}): Promise<unknown> {
    // The SDK's types hide `run`.
    const command = (await PulumiCommand.get({
      root: dirname(dirname(pulumi!)),
      skipVersionCheck: true,
    })) as unknown as {
      run(args: string[], cwd: string, env: Record<string, string>): Promise<unknown>;
    };
    return command.run(args, join(folder, 'project'), { ...environment, ...overrides });
  }
  const getError = async (args: string[], overrides: Record<string, string> = {}) => {
    const thrown = await run(args, overrides).then(
      () => expect.unreachable('the CLI did not fail'),
      (error: unknown) => error,
    );
    return pulumiError(thrown);
  };
  const refresh = ['refresh', '--yes', '--skip-preview', '--stack', 'agent-a'];

  test('a missing stack', async ({ skip }) => {
    skip(pulumi === undefined, 'no Pulumi CLI');
    const error = await getError(['destroy', '--yes', '--skip-preview', '--stack', 'agent-zz']);
    expect(error).toBeInstanceOf(StackNotFoundError);
    expect(error.message).toBe("no stack named 'agent-zz' found");
  });

  test('an existing stack', async ({ skip }) => {
    skip(pulumi === undefined, 'no Pulumi CLI');
    expect(await getError(['stack', 'init', 'agent-a'])).toBeInstanceOf(StackExistsError);
  });

  test('a lock, an unreachable state, another passphrase', async ({ skip }) => {
    skip(pulumi === undefined, 'no Pulumi CLI');
    const wrong = await getError(refresh, { PULUMI_CONFIG_PASSPHRASE: 'wrong' });
    expect(wrong).toBeInstanceOf(PermanentError);
    const away = await getError(refresh, {
      PULUMI_BACKEND_URL: 'postgres://postgres:canary-4711@127.0.0.1:1/pulumi?sslmode=disable',
    });
    // A state that is unavailable for a moment is not the operation's fault.
    expect(away.constructor).toBe(LostError);
    expect(away.message).toContain('postgres://[redacted]@127.0.0.1:1/pulumi');
    expect(away.message).not.toContain('canary');
    const locks = join(folder, 'state/.pulumi/locks/organization/agents/agent-a');
    mkdirSync(locks, { recursive: true });
    writeFileSync(
      join(locks, 'x.json'),
      '{"pid":1,"username":"u","hostname":"h","timestamp":"2026-01-01T00:00:00Z"}',
    );
    expect(await getError(refresh)).toBeInstanceOf(StackLockedError);
  });

  test('a CLI killed from outside is lost, whatever the signal; only our own abort cancels', async ({
    skip,
  }) => {
    skip(pulumi === undefined, 'no Pulumi CLI');
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      // An address that accepts connections and sends nothing keeps the CLI waiting until it is killed.
      const silent = createServer(() => {});
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
      const port = (silent.address() as { port: number }).port;
      const connected = new Promise<void>((resolve) => silent.once('connection', () => resolve()));
      const failing = getError(refresh, {
        PULUMI_BACKEND_URL: `postgres://u@127.0.0.1:${port}/x?sslmode=disable`,
        TAG: `tag-${port}`,
      });
      await connected;
      const mine = (found: ReadonlyMap<string, string>) => found.get('TAG') === `tag-${port}`;
      if (signal === 'SIGKILL') await killProcesses(mine);
      else for (const pid of findProcesses(mine)) process.kill(pid, signal);
      const error = await failing;
      silent.close();
      expect(error, `${signal}: ${error.message}`).toBeInstanceOf(LostError);
    }
  });

  test.each(['KILL', 'TERM'])('a CLI killed by SIG%s inside a shell is lost too', async (signal) => {
    const { run } = PulumiCommand.prototype as unknown as {
      run(args: string[], cwd: string, env: object): Promise<unknown>;
    };
    const shell = Object.create(PulumiCommand.prototype, { command: { value: '/bin/sh' } });
    const killed = `printf x | sh -c 'kill -${signal} $$'`;
    const error = await run.call(shell, ['-c', killed], tmpdir(), {}).catch((cause: unknown) => cause);
    expect(pulumiError(error)).toBeInstanceOf(LostError);
  });
});

const frame = (text: string) => `code: 255\n stdout: Updating (agent-a1):\n\n stderr: \n${text}\n`;

test.each([
  ['error: update canceled', LostError],
  ['error: the stack is currently locked by 1 lock(s).', StackLockedError],
  ['error: failed to load stack tags: read: connection reset by peer', RetryableError],
  ['    error: the given token is not authorised (unauthorized, 4711)', PermanentError],
  ['    error: server type not sold here (invalid_input, 4711)', PermanentError],
  ['    error: no capacity (resource_unavailable, 4711)', SoldOutError],
  ['    error: rpc error: code = Unavailable desc = transport is closing', LostError],
  ['    error: server name is already used (uniqueness_error, 4711)', RetryableError],
  ['    error: API token invalid (401)', PermanentError],
  [
    '    error: calling actor does not have enough permissions to perform this function (403)',
    PermanentError,
  ],
  ['    error: requested tags [tag:agent] are invalid or not permitted (400)', PermanentError],
  [
    '    error: Failed to create key: requested tags [tag:agent] are invalid or not permitted (400)',
    PermanentError,
  ],
  [
    '    error: 1 error occurred:\n    \t* requested tags [tag:agent] are invalid or not permitted (400)',
    PermanentError,
  ],
  ['    error: rate limit exceeded (429)', RateLimitedError],
  ['    error: internal error (500)', RetryableError],
  // The machine's output does not decide the class.
  [
    '    error: exit status 1: running "exec \\"$AGENT_STACKS_CONFIGURE\\"":\nconfigure: task "x": failed\nForbidden (403)',
    RetryableError,
  ],
])('%j', (text, Class) => {
  expect(pulumiError(new Error(frame(text))).constructor).toBe(Class);
});

const OPENING = 'error: getting stack configuration: get stack secrets manager:';

test.each([
  // Azure's and Google's words for a refused credential are those of a cloud's.
  [
    `${OPENING} secrets (code=PermissionDenied): POST https://v.vault.azure.net/keys/k/decrypt\n----\nRESPONSE 401: 401 Unauthorized\nERROR CODE: Unauthorized`,
    StateKeyError,
  ],
  [
    `${OPENING} secrets (code=PermissionDenied): rpc error: code = Unauthenticated desc = 401 Unauthorized`,
    StateKeyError,
  ],
  [`${OPENING} missing google credentials: google: could not find default credentials`, StateKeyError],
  [
    'error: could not deserialize deployment: constructing secrets manager of type "cloud": secrets (code=Unknown): context deadline exceeded, transport is closing',
    StateKeyError,
  ],
  // A passphrase has no service that comes back.
  [`${OPENING} incorrect passphrase`, PermanentError],
  [
    'error: could not create secrets manager for new stack: passphrase must be set with PULUMI_CONFIG_PASSPHRASE',
    PermanentError,
  ],
  [`${OPENING} unable to open state database: connection refused`, LostError],
  // Nor does a machine decide it, which is configured only while the state is open.
  [
    '    error: exit status 1: running "exec \\"$AGENT_STACKS_CONFIGURE\\"":\nerror: get stack secrets manager: secrets (code=Unknown): x',
    RetryableError,
  ],
])('the secrets provider: %j', (text, Class) => {
  expect(pulumiError(new Error(frame(text))).constructor).toBe(Class);
});

test('an error of the secrets provider keeps its class when it is translated again', () => {
  const error = pulumiError(new Error(frame(`${OPENING} secrets (code=NotFound): Alias is not found.`)));
  expect(error.message).toBe('The key of PULUMI_SECRETS_PROVIDER cannot be used: Alias is not found.');
  expect(pulumiError(error)).toBe(error);
  const reported = reportedError(reportError(error));
  expect(reported).toBeInstanceOf(ShortageError);
  expect(getFailureCode(reported)).toBe('state-key-unusable');
});

test('the summary has each cause once, without the CLI’s frame', () => {
  const text = frame(
    [
      'Diagnostics:',
      '  hcloud:index:Server (server):',
      '    error: 1 error occurred:',
      '    \t* no capacity in nbg1 (resource_unavailable)',
      '    error: 1 error occurred:',
      '    \t* no capacity in nbg1 (resource_unavailable)',
      '  pulumi:pulumi:Stack (agents-agent-a1):',
      '    error: update failed',
    ].join('\n'),
  );
  expect(summary(text)).toBe('no capacity in nbg1 (resource_unavailable)');
});

test('the summary has no credentials and a limited length', () => {
  const text = 'error: cannot reach postgres://user:p%40ss@db.example:5432/x and https://me:canary@host/y';
  expect(summary(text)).toBe(
    'cannot reach postgres://[redacted]@db.example:5432/x and https://[redacted]@host/y',
  );
  expect(summary(`error: ${'x'.repeat(10_000)}`).length).toBeLessThanOrEqual(2_000);
});

test('an error that a runner reports by name becomes the same error here', () => {
  for (const error of [
    new StackLockedError('x'),
    new StackNotFoundError('x'),
    new NotJoinedError('x'),
    new PermanentError('x'),
    new LostError('x'),
    new CancelledError('x'),
  ]) {
    const again = engineError({ name: error.name, message: error.message });
    expect(again.constructor).toBe(error.constructor);
  }
  expect(engineError({ name: 'TypeError', message: 'x' }).constructor).toBe(RetryableError);
});

test('a device that is missing while the quota is used up keeps the failure code', () => {
  const said = 'Could not find device with hostname=join-1\nerror: Too many requests (429)\n';
  const error = pulumiError(new Error(said));
  expect(error).toBeInstanceOf(RateLimitedError);
  expect(getFailureCode(error)).toBe('not-joined');
  expect(getFailureCode(engineError(reportError(error)))).toBe('not-joined');
});
