import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createVault, generateAgentKeys } from '../../../src/agents/secrets.ts';
import { getAgent, insertAgent } from '../../../src/agents/store.ts';
import { createPool } from '../../../src/database/connect.ts';
import { jsonText } from '../../../src/database/storable.ts';
import { ConflictError, InvalidInputError, RetryableError, ShortageError } from '../../../src/errors.ts';
import { parseCallback } from '../../../src/executors/github-actions/callback.ts';
import { attemptToken } from '../../../src/executors/github-actions/callback-signature.ts';
import { claimForRunner, type RemoteClaim } from '../../../src/executors/github-actions/claim.ts';
import { takeDispatch } from '../../../src/executors/github-actions/dispatches.ts';
import { receiveCallback } from '../../../src/executors/github-actions/receive.ts';
import { type RunnerRecord, recordForRunner } from '../../../src/executors/github-actions/record.ts';
import { describeFailure } from '../../../src/executors/github-actions/result.ts';
import { Keyring } from '../../../src/keys/keyring.ts';
import { requestChange } from '../../../src/limits/request-change.ts';
import { readEvents } from '../../../src/operations/events/events.ts';
import { chooseExecutor } from '../../../src/operations/executor-choice.ts';
import type { IsStillWanted } from '../../../src/operations/last-check.ts';
import { requestOperation } from '../../../src/operations/requests.ts';
import { createLoginFence, type Fence } from '../../../src/pulumi/fence.ts';
import { createFoundationStore } from '../../../src/runbooks/steps/foundation-store.ts';
import { readClaim } from '../../../src/runner/claimed.ts';
import { Secret } from '../../../src/secret.ts';
import type { AgentInputs } from '../../../stacks/inputs.ts';
import {
  type OperationsFixture,
  openOperations,
  operation,
  order,
  waitOver,
} from '../../support/operations-fixture.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { stampAsNew } from '../../support/stamp.ts';

const callbackSecret = new Secret('callback secret of the tests');
const passphrase = new Secret('the installation’s passphrase');
const keyring = new Keyring(passphrase);
let at: OperationsFixture;
let stateDatabase: TestDatabase;
let statePool: pg.Pool;
let stateUrl: Secret;
let fence: Fence;

beforeAll(async () => {
  at = await openOperations();
  stateDatabase = await createDatabase();
  stateUrl = new Secret(stateDatabase.url);
  statePool = createPool(stateUrl, 2, 'state test');
  fence = await createLoginFence({ pool: statePool, backendUrl: stateUrl, log: pino({ level: 'silent' }) });
});
afterAll(async () => {
  // Roles belong to the whole Postgres server.
  for (const agentId of ['a1', 'a2']) await (await fence.enter({ ...NOBODY, agentId })).leave();
  await statePool.end();
  await stateDatabase.drop();
  await at.close();
});
beforeEach(async () => {
  await at.empty();
  await stampAsNew(at.database);
  await chooseExecutor(at.database, 'github-actions');
});
const NOBODY = { operationId: '00000000-0000-4000-8000-000000000000', attempt: 0 };

const toToken = (jobId: string, attempt: number) =>
  attemptToken(callbackSecret, { operationId: jobId, attempt });
const claim = (jobId: string, attempt: number, isStillWanted?: IsStillWanted): Promise<RemoteClaim> =>
  claimForRunner(
    {
      ...at,
      isStillWanted,
      callbackSecret,
      getFence: async () => fence,
      pulumi: { url: stateUrl, keyring },
    },
    { jobId, token: toToken(jobId, attempt) },
  );
const record = (jobId: string, attempt: number, message: RunnerRecord) =>
  recordForRunner(
    {
      ...at,
      callbackSecret,
      foundations: createFoundationStore(at.database, fence),
      keyring,
    },
    { jobId, token: toToken(jobId, attempt) },
    message,
  );
const report = (jobId: string, attempt: number, message: object, isStillWanted?: IsStillWanted) =>
  receiveCallback(
    { ...at, isStillWanted, callbackSecret, getFence: async () => fence },
    parseCallback({ job_id: jobId, ...message }),
    toToken(jobId, attempt),
  );
async function dispatch(agentId = 'a1'): Promise<string> {
  const { operation_id } = await order(at, agentId);
  await takeDispatch(at, undefined);
  return operation_id;
}
/** The inputs that a runner records before it creates anything. */
const createInputs = (jobId: string): AgentInputs => ({
  agentId: 'a1',
  operationId: jobId,
  project: 'default',
  location: 'nbg1',
  serverType: 'cx23',
  image: 'debian-12',
  firewallId: 7,
  sshPublicKey: 'ssh-ed25519 AAAA',
  hostPublicKey: 'ssh-ed25519 BBBB',
  keyGeneration: 1,
  healthPort: 8080,
  configurationVersion: 'v1',
  joinTimeoutSeconds: 180,
});
/** As the runner gets it through JSON. */
const received = (claimed: RemoteClaim) =>
  readClaim(JSON.parse(JSON.stringify(claimed)), { url: stateUrl, keyring });
const connect = async (url: Secret) => {
  const client = new pg.Client({ connectionString: url.reveal() });
  client.on('error', () => {});
  await client.connect();
  return client;
};

describe('a claim of a destroy that the service wants', () => {
  const agent = { agentId: 'a1', userId: 'u1', region: 'eu-central', location: 'nbg1', plan: 'starter' };
  async function dispatchDestroy(): Promise<string> {
    await insertAgent(at.database, agent);
    const request = { agentId: 'a1', kind: 'destroy', actor: 'billing', cause: 'It is not paid.' };
    const { operation_id } = await at.database
      .transaction()
      .execute((trx) => requestOperation(trx, at.queue, request));
    expect((await getAgent(at.database, 'a1')).status).toBe('requested');
    await takeDispatch(at, undefined);
    return operation_id;
  }

  test('begins it for good if it is still wanted', async () => {
    const jobId = await dispatchDestroy();
    expect(await claim(jobId, 1, async () => true)).toMatchObject({ kind: 'destroy', attempt: 1 });
    expect((await getAgent(at.database, 'a1')).status).toBe('destroying');
    // The same runner may claim again: what has begun is not asked again.
    expect(await claim(jobId, 1, async () => false)).toMatchObject({ kind: 'destroy', attempt: 1 });
  });

  test('cancels it if it is not, and if nobody can be asked', async () => {
    for (const isStillWanted of [async () => false, undefined]) {
      const jobId = await dispatchDestroy();
      await expect(claim(jobId, 1, isStillWanted)).rejects.toThrow(ConflictError);
      expect(await operation(at, jobId)).toMatchObject({ status: 'cancelled' });
      expect((await getAgent(at.database, 'a1')).status).toBe('requested');
      await at.empty();
      await stampAsNew(at.database);
      await chooseExecutor(at.database, 'github-actions');
    }
  });
});

describe('a destroy that the service wants, on a runner that implements only the callbacks', () => {
  const agent = { agentId: 'a1', userId: 'u1', region: 'eu-central', location: 'nbg1', plan: 'starter' };
  let jobId: string;
  beforeEach(async () => {
    await insertAgent(at.database, agent);
    await sql`update agents set status = 'suspended', server_id = '1', tailnet_ip = '100.64.0.1'`.execute(
      at.database,
    );
    const request = { agentId: 'a1', kind: 'destroy', actor: 'billing', cause: 'It is not paid.' };
    const row = await at.database.transaction().execute((trx) => requestOperation(trx, at.queue, request));
    jobId = row.operation_id;
    await takeDispatch(at, undefined);
  });
  const status = async () => (await getAgent(at.database, 'a1')).status;
  const messages = [
    { type: 'heartbeat' },
    { status: 'provisioning', step: 'deleting' },
    { status: 'running' },
  ];

  test.each(messages)('is begun by %o only if it is still wanted', async (message) => {
    const asked: string[] = [];
    const isStillWanted: IsStillWanted = async ({ operation_id: id }) => {
      asked.push(id);
      return true;
    };
    expect(await report(jobId, 1, message, isStillWanted)).toMatchObject({ changed: true });
    expect(await status()).toBe(message.status === 'running' ? 'destroyed' : 'destroying');
    // What has begun is not asked again, nor what has ended.
    await report(jobId, 1, { status: 'running' }, isStillWanted);
    expect(await status()).toBe('destroyed');
    await report(jobId, 1, { status: 'running' }, isStillWanted);
    expect(asked).toEqual([jobId]);
  });

  test.each(messages)('is cancelled by %o if it is not', async (message) => {
    await expect(report(jobId, 1, message, async () => false)).rejects.toThrow(ConflictError);
    expect(await operation(at, jobId)).toMatchObject({ status: 'cancelled' });
    expect(await status()).toBe('suspended');
  });

  test('is cancelled if nobody can be asked', async () => {
    await expect(report(jobId, 1, { status: 'provisioning' })).rejects.toThrow(ConflictError);
    expect(await operation(at, jobId)).toMatchObject({ status: 'cancelled' });
  });

  test.each(messages)('waits with %o while Stripe cannot be asked', async (message) => {
    const away: IsStillWanted = () => Promise.reject(new RetryableError('Stripe answered 500'));
    await expect(report(jobId, 1, message, away)).rejects.toThrow('Stripe answered 500');
    expect(await operation(at, jobId)).toMatchObject({ status: 'queued', started_at: null });
    expect(await status()).toBe('suspended');
  });

  test('may fail without a check', async () => {
    await report(jobId, 1, { status: 'failed', error: 'no runner' });
    expect(await status()).toBe('suspended');
  });
});

test('a claim of a suspension for want of payment waits until what an event means was read', async () => {
  await insertAgent(at.database, {
    agentId: 'a1',
    userId: 'u1',
    region: 'eu-central',
    location: 'nbg1',
    plan: 'starter',
  });
  await sql`update agents set status = 'running', server_id = '1', tailnet_ip = '100.64.0.1'`.execute(
    at.database,
  );
  await sql`insert into subscriptions (subscription_id, agent_id, signals, seen_signals)
    values ('sub_1', 'a1', 1, 1)`.execute(at.database);
  const request = { agentId: 'a1', kind: 'suspend', cause: 'It is not paid.', at: new Date() };
  await at.database.transaction().execute((trx) => requestChange(trx, at.queue, request));
  const taken = await takeDispatch(at, undefined);
  const jobId = taken!.operation.operation_id;
  await sql`update subscriptions set signals = 2`.execute(at.database);
  await expect(claim(jobId, 1)).rejects.toThrow(RetryableError);
  // A runner that implements only the callbacks begins no sooner.
  for (const message of [{ type: 'heartbeat' }, { status: 'provisioning' }])
    await expect(report(jobId, 1, message)).rejects.toThrow(RetryableError);
  expect(await operation(at, jobId)).toMatchObject({ status: 'queued', started_at: null });
  await sql`update subscriptions set seen_signals = 2`.execute(at.database);
  expect(await claim(jobId, 1)).toMatchObject({ kind: 'suspend', attempt: 1 });
});

test('no message begins an attempt before it is known again what belongs to whom', async () => {
  const jobId = await dispatch();
  await sql`update installation set recovery = 'needed'`.execute(at.database);
  await expect(claim(jobId, 1)).rejects.toThrow(RetryableError);
  await expect(report(jobId, 1, { status: 'provisioning' })).rejects.toThrow(RetryableError);
  expect(await operation(at, jobId)).toMatchObject({ status: 'queued', started_at: null });
  await sql`update installation set recovery = 'none'`.execute(at.database);
  expect(await claim(jobId, 1)).toMatchObject({ kind: 'provision', attempt: 1 });
});

test('a runner of an earlier version gets no work in a project that it cannot know', async () => {
  const jobId = await dispatch();
  const deps = { ...at, callbackSecret, getFence: async () => fence, pulumi: { url: stateUrl, keyring } };
  const claimAs = (knowsProjects: boolean) =>
    claimForRunner(deps, { jobId, token: toToken(jobId, 1) }, { knowsProjects });
  await at.database.updateTable('agents').set({ project: 'us' }).execute();
  await expect(claimAs(false)).rejects.toThrow(ConflictError);
  expect(await operation(at, jobId)).toMatchObject({ status: 'queued', started_at: null });
  expect((await claimAs(true)).inputs.agent.project).toBe('us');
});

test('a runner gets the servers of the plans, and what it finds sold out is waited for', async () => {
  const jobId = await dispatch();
  const planServers = { pro: { types: { nbg1: ['cpx32', 'cx33'] }, mostEurosPerMonth: undefined } };
  const deps = { ...at, callbackSecret, getFence: async () => fence, pulumi: { url: stateUrl, keyring } };
  const claimed = await claimForRunner({ ...deps, planServers }, { jobId, token: toToken(jobId, 1) });
  expect(received(claimed).planServers).toEqual(planServers);
  expect(received(await claim(jobId, 1)).planServers).toEqual({});
  const failure = describeFailure(new ShortageError('Waiting for a server of plan pro'));
  await record(jobId, 1, { kind: 'result', result: { status: 'failed', ...failure, step: 'preparing' } });
  await report(jobId, 1, { status: 'failed', error: 'the same' });
  expect(await operation(at, jobId)).toMatchObject({
    status: 'queued',
    retry_count: 0,
    waits_for: 'Waiting for a server of plan pro',
  });
});

describe('a claim', () => {
  test('begins the attempt and returns its data, without the agent’s keys or a login', async () => {
    const jobId = await dispatch();
    const keys = generateAgentKeys('a1');
    await at.database
      .updateTable('agents')
      .set({
        secrets: createVault(passphrase).seal('a1', keys),
        inputs: jsonText({ keyGeneration: 3 }),
      })
      .execute();
    const claimed = await claim(jobId, 1);
    expect(claimed).toMatchObject({
      kind: 'provision',
      attempt: 1,
      agentId: 'a1',
      region: 'eu-central',
      location: 'nbg1',
      plan: 'starter',
    });
    expect(await operation(at, jobId)).toMatchObject({ status: 'active', attempt: 1 });
    expect((await getAgent(at.database, 'a1')).status).toBe('provisioning');
    const { agent, backendUrl } = received(claimed);
    const text = JSON.stringify(claimed);
    for (const secret of [passphrase.reveal(), keys.sshPrivateKey, new URL(backendUrl.reveal()).password])
      expect(text).not.toContain(secret);
    expect(createVault(passphrase).open('a1', agent.secrets!)).toEqual(keys);
    expect(agent).toMatchObject({ inputs: { keyGeneration: 3 }, created_at: expect.any(Date) });
  });

  test('of a runner with other passphrases uses the one that the service seals with', async () => {
    const jobId = await dispatch();
    const secrets = createVault(passphrase).seal('a1', generateAgentKeys('a1'));
    await at.database.updateTable('agents').set({ secrets }).execute();
    const [next, both] = [
      new Secret('the next passphrase'),
      new Keyring(new Secret('the next passphrase'), passphrase),
    ];
    const claimWith = (service: Keyring, runner: Keyring) => {
      const pulumi = { url: stateUrl, keyring: service };
      const deps = { ...at, callbackSecret, getFence: async () => fence, pulumi };
      return claimForRunner(
        deps,
        { jobId, token: toToken(jobId, 1) },
        { keyIds: runner.ids, knowsProjects: true },
      );
    };
    // The repository has both already; the service has the former one only.
    const claimed = await claimWith(keyring, both);
    readClaim(JSON.parse(JSON.stringify(claimed)), { url: stateUrl, keyring: both });
    expect(both.sealing.id).toBe(keyring.current.id);
    await expect(claimWith(keyring, new Keyring(next))).rejects.toThrow(/correct the secret/);
    // What the change waits for: that the runners have the new one.
    const { key_ids: keyIds } = await at.database
      .selectFrom('processes')
      .selectAll()
      .executeTakeFirstOrThrow();
    expect(keyIds).toEqual(new Keyring(next).ids);
    // The service seals with the new one now: it hands over, and stores, what that opens.
    const service = new Keyring(next, passphrase);
    await sql`update installation set key_id = ${service.current.id}, former_key_id = ${keyring.current.id}`.execute(
      at.database,
    );
    // Its stack may still be under the former one.
    await expect(claimWith(service, new Keyring(next))).rejects.toThrow(/_BEFORE/);
    const { inputs } = await claimWith(service, service);
    expect(createVault(next).canOpen('a1', Buffer.from(inputs.sealedKeys!, 'base64'))).toBe(true);
    await recordForRunner(
      { ...at, callbackSecret, foundations: createFoundationStore(at.database, fence), keyring: service },
      { jobId, token: toToken(jobId, 1) },
      { kind: 'inputs', inputs: createInputs(jobId), sealedKeys: secrets.toString('base64') },
    );
    const { secrets: stored } = await getAgent(at.database, 'a1');
    expect(createVault(next).canOpen('a1', stored!)).toBe(true);
  });

  test('creates a login for this attempt, which the next attempt closes', async () => {
    const jobId = await dispatch();
    const first = received(await claim(jobId, 1)).backendUrl;
    const session = await connect(first);
    await session.query('select count(*) from pulumi_state');
    await report(jobId, 1, { status: 'failed', error: 'broken' });
    await waitOver(at);
    await takeDispatch(at, undefined);
    const second = received(await claim(jobId, 2)).backendUrl;
    await expect(session.query('select 1')).rejects.toThrow();
    await expect(connect(first)).rejects.toThrow();
    const next = await connect(second);
    await next.query('select count(*) from pulumi_state');
    await next.end();
  });

  test('concurrent leaves and evictions of an attempt do not fail', async () => {
    const attempt = { agentId: 'a1', operationId: '11111111-0000-4000-8000-000000000000', attempt: 1 };
    const entry = await fence.enter(attempt);
    await Promise.all([entry.leave(), fence.evict(attempt), fence.evict(attempt), entry.leave()]);
    await expect(connect(entry.backendUrl)).rejects.toThrow();
  });

  test('is repeated for the same runner, and refused for another attempt', async () => {
    const jobId = await dispatch();
    await claim(jobId, 1);
    const again = received(await claim(jobId, 1)).backendUrl;
    await (await connect(again)).end();
    await expect(claim(jobId, 2)).rejects.toThrow(ConflictError);
    await report(jobId, 1, { status: 'failed', error: 'broken' });
    await expect(claim(jobId, 1)).rejects.toThrow(ConflictError);
  });
});

describe('what a runner records', () => {
  test('inputs and sealed keys are stored before anything is created', async () => {
    const jobId = await dispatch();
    await claim(jobId, 1);
    const sealed = createVault(passphrase).seal('a1', generateAgentKeys('a1'));
    const inputs = createInputs(jobId);
    await record(jobId, 1, { kind: 'inputs', inputs, sealedKeys: sealed.toString('base64') });
    expect(await getAgent(at.database, 'a1')).toMatchObject({ inputs, secrets: sealed });
    for (const foreign of [
      { agentId: 'a2' },
      { operationId: randomUUID() },
      { project: 'other' },
      { location: 'ash' },
      { keyGeneration: 0 },
      { serverName: 'srv-0123456789abcdef0123' },
    ]) {
      const ofAnother = { kind: 'inputs' as const, inputs: { ...inputs, ...foreign }, sealedKeys: 'AAAA' };
      await expect(record(jobId, 1, ofAnother)).rejects.toThrow(InvalidInputError);
    }
  });

  test('a snapshot is stored before the server is deleted, and only by a hibernate or a wake', async () => {
    const jobId = await dispatch();
    await claim(jobId, 1);
    const message = { kind: 'snapshot' as const, snapshotId: '9001' };
    await expect(record(jobId, 1, message)).rejects.toThrow(InvalidInputError);
    await at.database
      .updateTable('agents')
      .set({ status: 'suspended', server_id: '42', tailnet_ip: '100.64.0.1' })
      .where('agent_id', '=', 'a1')
      .execute();
    await at.database
      .updateTable('operations')
      .set({ kind: 'hibernate' })
      .where('operation_id', '=', jobId)
      .execute();
    await record(jobId, 1, message);
    expect(await getAgent(at.database, 'a1')).toMatchObject({ snapshot_id: '9001' });
    await record(jobId, 1, { ...message, snapshotId: null });
    expect(await getAgent(at.database, 'a1')).toMatchObject({ snapshot_id: null });
    await sql`update agents set status = 'hibernated', snapshot_id = '9001', server_id = null`.execute(
      at.database,
    );
    await sql`update operations set kind = 'wake'`.execute(at.database);
    await record(jobId, 1, { ...message, snapshotId: '9002' });
    await expect(record(jobId, 1, { ...message, snapshotId: null })).rejects.toThrow(InvalidInputError);
    expect(await getAgent(at.database, 'a1')).toMatchObject({ snapshot_id: '9002' });
  });

  test('keys sealed under another passphrase are refused before anything is created', async () => {
    const jobId = await dispatch();
    await claim(jobId, 1);
    const sealed = createVault(new Secret('another passphrase')).seal('a1', generateAgentKeys('a1'));
    const message = {
      kind: 'inputs' as const,
      inputs: createInputs(jobId),
      sealedKeys: sealed.toString('base64'),
    };
    await expect(record(jobId, 1, message)).rejects.toThrow(/service’s PULUMI_CONFIG_PASSPHRASE/);
    expect(await getAgent(at.database, 'a1')).toMatchObject({ inputs: null, secrets: null });
  });

  test('reports of an inactive attempt are refused', async () => {
    const jobId = await dispatch();
    await expect(record(jobId, 1, { kind: 'alive' })).rejects.toThrow(ConflictError);
    await claim(jobId, 1);
    await record(jobId, 1, { kind: 'alive' });
    await report(jobId, 1, { status: 'failed', error: 'broken' });
    await expect(record(jobId, 1, { kind: 'alive' })).rejects.toThrow(ConflictError);
    await expect(record(jobId, 1, { kind: 'log', lines: ['late'] })).rejects.toThrow(ConflictError);
  });

  test('a text of several lines is several events, as many as a message may have', async () => {
    const jobId = await dispatch();
    await claim(jobId, 1);
    await record(jobId, 1, { kind: 'log', lines: ['one\r\ntwo\nthree', 'x\n'.repeat(600)] });
    const lines = (await readEvents(at.database, jobId, 0, 1_000)).flatMap(({ type, data }) =>
      type === 'log' ? [String(data.line)] : [],
    );
    expect(lines.slice(0, 4)).toEqual(['one', 'two', 'three', 'x']);
    expect(lines.at(-1)).toMatch(/104/);
    expect(lines).toHaveLength(501);
  });

  test('a permanent failure is final and keeps its own message', async () => {
    const jobId = await dispatch();
    await claim(jobId, 1);
    const result = {
      status: 'failed' as const,
      name: 'PermanentError',
      message: 'the token is wrong',
      step: 's',
    };
    await record(jobId, 1, { kind: 'result', result });
    await report(jobId, 1, { status: 'failed', error: 'exit code 1', failed_step: 'creating_server' });
    expect(await operation(at, jobId)).toMatchObject({
      status: 'failed',
      error: 'the token is wrong',
      failed_step: 'creating_server',
    });
  });

  test('one attempt at a time works on a project’s foundation', async () => {
    const inputs = { project: 'default' };
    const [one, other] = [await dispatch('a1'), await dispatch('a2')];
    await claim(one, 1);
    await claim(other, 1);
    expect(await record(one, 1, { kind: 'foundation-find', inputs })).toEqual({ received: true });
    expect(await record(one, 1, { kind: 'foundation-take', inputs })).toMatchObject({ taken: true });
    expect(await record(other, 1, { kind: 'foundation-take', inputs })).toMatchObject({ taken: false });
    await record(one, 1, { kind: 'foundation-made', inputs, firewallId: 77 });
    expect(await record(other, 1, { kind: 'foundation-find', inputs })).toMatchObject({ firewallId: 77 });
  });
});
