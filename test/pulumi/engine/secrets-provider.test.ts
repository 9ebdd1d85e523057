import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createPool } from '../../../src/database/connect.ts';
import type { StackTask } from '../../../src/pulumi/engine/messages.ts';
import { openSdk, type PulumiSdk } from '../../../src/pulumi/engine/run-stack.ts';
import { createPostgresStateStore } from '../../../src/pulumi/state-store.ts';
import { Secret } from '../../../src/secret.ts';
import { runToEnd } from '../../support/commands.ts';
import { type KeyService, noKeyService, startKeyService } from '../../support/key-service.ts';
import { createDatabase } from '../../support/postgres.ts';

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

const move = (to: string, verb: 'refresh' | 'move' = 'refresh') =>
  sdk.run(
    { verb, stackName: 'agent-a1', environment: withKeys(), moveSecretsTo: to },
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
    await move('passphrase', 'move');
    expect(stored().provider.type).toBe('passphrase');
    expect(await opened(environment())).toContain(SECRET);
  },
  LIMIT_MS,
);

/** A stack in Postgres, as the service has it, whose writes wait while the test holds a lock. */
async function openPostgresStack() {
  const database = await createDatabase();
  const url = `${database.url}?sslmode=disable`;
  const env = { ...withKeys(), PULUMI_BACKEND_URL: url };
  await cli(['stack', 'init', 'agent-a1', '--no-select'], env);
  const pool = createPool(new Secret(database.url), 3, 'secrets test');
  await pool.query(`create function wait_for_test() returns trigger language plpgsql as $$
      begin perform pg_advisory_xact_lock_shared(1); return new; end $$`);
  await pool.query(`create trigger wait_for_test before insert or update on pulumi_state
      for each row when (new.key like '%/stacks/agents/agent-a1.json') execute function wait_for_test()`);
  const name = new URL(database.url).pathname.slice(1);
  const state = createPostgresStateStore(pool, { database: name, project: 'agents' });
  const run = (task: Pick<StackTask, 'verb'> & { moveSecretsTo?: string }) =>
    sdk.run(
      { ...task, stackName: 'agent-a1', environment: env } as StackTask,
      () => {},
      new AbortController().signal,
    );
  return {
    env,
    pool,
    provider: () => state.secretsProvider('agent-a1'),
    unlock: () => run({ verb: 'unlock' }),
    move: (to: string) => run({ verb: 'refresh', moveSecretsTo: to }),
    close: async () => {
      await pool.end();
      await database.drop();
    },
  };
}

/** The server processes that wait with a write of the state. */
const WAITING = "select pid from pg_locks where locktype = 'advisory' and objid = 1 and not granted";

test.skipIf(whyNot !== null).each([
  // As the next attempt's fence does.
  ['and whose session is ended leaves the old state', true, 'passphrase'],
  ['and whose statement ends by itself leaves the new state', false, 'cloud'],
] as const)(
  'a move that is killed in the middle of its write %s, and the next run completes it',
  async (_, endsSession, left) => {
    const stack = await openPostgresStack();
    try {
      const holder = await stack.pool.connect();
      await holder.query('select pg_advisory_lock(1)');
      const args = ['stack', 'change-secrets-provider', keys.provider, ...STACK, '--non-interactive'];
      const child = spawn(pulumi!, args, { cwd: folder, env: stack.env, stdio: 'ignore' });
      const ended = once(child, 'exit');
      // It writes its state now, and nothing else keeps it.
      const { pid } = await vi.waitFor(
        async () => {
          const { rows } = await stack.pool.query<{ pid: number }>(WAITING);
          expect(rows).toHaveLength(1);
          return rows[0]!;
        },
        { timeout: 60_000, interval: 50 },
      );
      child.kill('SIGKILL');
      expect(await ended).toEqual([null, 'SIGKILL']);
      if (endsSession) await stack.pool.query('select pg_terminate_backend($1)', [pid]);
      await holder.query('select pg_advisory_unlock(1)');
      holder.release();
      const isOver = async () => {
        const { rows } = await stack.pool.query(
          "select 1 from pg_stat_activity where pid = $1 and state <> 'idle'",
          [pid],
        );
        expect(rows).toEqual([]);
      };
      await vi.waitFor(isOver, { timeout: 60_000, interval: 50 });
      rmSync(join(folder, 'Pulumi.agent-a1.yaml'), { force: true });
      expect(await stack.provider()).toBe(left === 'cloud' ? keys.provider : left);
      await stack.unlock();
      await stack.move(keys.provider);
      expect(await stack.provider()).toBe(keys.provider);
      await cli(['stack', 'export', '--show-secrets', ...STACK], stack.env);
    } finally {
      await stack.close();
    }
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
