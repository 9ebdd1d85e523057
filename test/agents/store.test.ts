import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { endHibernation, markHibernated, markWoken, recordSnapshot } from '../../src/agents/hibernation.ts';
import {
  beginStop,
  markRebuilt,
  markReconfigured,
  markRestarted,
  markResumed,
  markStarted,
  markStopFailed,
  markStopped,
  markSuspended,
  recordFailure,
} from '../../src/agents/lifecycle.ts';
import { recordInputs } from '../../src/agents/record-inputs.ts';
import { AGENT_STATUSES, type AgentStatus, EDGES, type EdgeName } from '../../src/agents/states.ts';
import {
  beginProvisions,
  getAgent,
  insertAgent,
  listAgents,
  markDestroyed,
  markDestroying,
  markFailed,
  markRolledBack,
  markRunning,
  recordRefresh,
  setAgentStep,
} from '../../src/agents/store.ts';
import type { Transaction } from '../../src/database/connect.ts';
import { migrate } from '../../src/database/migrations.ts';
import { ConflictError, NotFoundError } from '../../src/errors.ts';
import { openEmpty } from '../database/support.ts';
import { agentInputs } from '../support/inputs.ts';

let at: Awaited<ReturnType<typeof openEmpty>>;
beforeAll(async () => {
  at = await openEmpty();
  await migrate(at.database);
});
afterAll(() => at.close());
beforeEach(() => removeAgents());

async function removeAgents(): Promise<void> {
  for (const table of ['audit_log', 'stack_resources', 'agent_changes', 'agents'] as const)
    await at.database.deleteFrom(table).execute();
}

const inTransaction = <T>(work: (trx: Transaction) => Promise<T>) => at.database.transaction().execute(work);

const outputs = {
  serverId: '1',
  serverName: 'agent-a1',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  tailnetIp: '100.64.0.1',
  tailnetName: 'agent-a1.tail.ts.net',
};
const agent = { agentId: 'a1', userId: 'u1', region: 'eu-central', location: 'nbg1', plan: 'starter' };

/** Puts the agent into a status, as if it had reached it. */
async function agentIn(status: AgentStatus): Promise<void> {
  await removeAgents();
  await insertAgent(at.database, agent);
  const hasServer = !['requested', 'hibernated', 'failed', 'destroyed'].includes(status);
  await at.database
    .updateTable('agents')
    .set({
      status,
      error: 'why',
      server_id: hasServer ? '1' : null,
      snapshot_id: status === 'hibernated' ? '9' : null,
      tailnet_ip: hasServer || status === 'hibernated' ? '100.64.0.1' : null,
    })
    .execute();
}

const moves: Partial<Record<EdgeName, (trx: Transaction) => Promise<void>>> = {
  'provision begins': (trx) => beginProvisions(trx, ['a1']),
  'provision succeeds': (trx) => markRunning(trx, [{ agentId: 'a1', outputs }]),
  'stop begins': (trx) => beginStop(trx, 'a1'),
  'stop succeeds': (trx) => markStopped(trx, 'a1'),
  'stop fails for the last time': (trx) => markStopFailed(trx, 'a1', 'why'),
  'start succeeds': (trx) => markStarted(trx, 'a1'),
  'rebuild succeeds': (trx) => markRebuilt(trx, 'a1', outputs),
  'suspend succeeds': (trx) => markSuspended(trx, 'a1'),
  'resume succeeds': (trx) => markResumed(trx, 'a1'),
  'hibernate succeeds': (trx) => markHibernated(trx, 'a1', { snapshotId: '9' }),
  'wake succeeds': (trx) => markWoken(trx, 'a1', outputs),
  'destroy is requested': (trx) => markDestroying(trx, 'a1'),
  'destroy succeeds': (trx) => markDestroyed(trx, 'a1'),
};
/** Moves that find the agent in its target status already, such as the next try of an operation. */
const STAYS: Partial<Record<EdgeName, AgentStatus>> = {
  'provision begins': 'provisioning',
  'stop begins': 'stopping',
  'rebuild succeeds': 'running',
  'suspend succeeds': 'suspended',
  'hibernate succeeds': 'hibernated',
  'resume succeeds': 'running',
};

test.each(Object.entries(moves))('“%s” follows only its edges of the table', async (by, move) => {
  for (const from of AGENT_STATUSES) {
    await agentIn(from);
    const edge = EDGES.find((one) => one.from === from && one.by === by);
    if (edge !== undefined || STAYS[by as EdgeName] === from) await inTransaction(move);
    else await expect(inTransaction(move), `${from}: ${by}`).rejects.toThrow(ConflictError);
    expect((await getAgent(at.database, 'a1')).status).toBe(edge?.to ?? from);
  }
});

test('only a failed or cancelled provision makes an agent failed', async () => {
  for (const from of AGENT_STATUSES) {
    await agentIn(from);
    const isEdge = EDGES.some((edge) => edge.from === from && edge.to === 'failed');
    if (isEdge) await inTransaction((trx) => markFailed(trx, 'a1', 'why'));
    else
      await expect(
        inTransaction((trx) => markFailed(trx, 'a1', 'why')),
        from,
      ).rejects.toThrow(ConflictError);
    expect((await getAgent(at.database, 'a1')).status).toBe(isEdge ? 'failed' : from);
  }
});

test('a restart or reconfigure keeps a running agent running, and is refused for any other', async () => {
  for (const from of AGENT_STATUSES) {
    for (const change of [markRestarted, markReconfigured]) {
      await agentIn(from);
      if (from === 'running') await inTransaction((trx) => change(trx, 'a1', outputs));
      else
        await expect(
          inTransaction((trx) => change(trx, 'a1', outputs)),
          from,
        ).rejects.toThrow(ConflictError);
      expect((await getAgent(at.database, 'a1')).status).toBe(from);
    }
  }
});

test('a failure is recorded on an agent that is set up, and on no other', async () => {
  for (const from of AGENT_STATUSES) {
    await agentIn(from);
    await inTransaction((trx) => recordFailure(trx, 'a1', { error: 'no answer', health: 'unhealthy' }));
    const { error, status } = await getAgent(at.database, 'a1');
    expect(status).toBe(from);
    const isSetUp = ['running', 'stopped', 'suspended', 'hibernated'].includes(from);
    expect(error).toBe(isSetUp ? 'no answer' : 'why');
  }
});

test('an id is never reused, and the refusal leaves the caller’s transaction usable', async () => {
  await agentIn('destroyed');
  const count = await at.database.transaction().execute(async (trx) => {
    await expect(insertAgent(trx, agent)).rejects.toThrow(ConflictError);
    return (await trx.selectFrom('agents').selectAll().execute()).length;
  });
  expect(count).toBe(1);
});

test('a destroyed agent keeps no secrets, inputs or addresses', async () => {
  await agentIn('destroying');
  await inTransaction((trx) =>
    recordInputs(trx, 'a1', { inputs: agentInputs('a1'), secrets: Buffer.from('sealed') }),
  );
  await inTransaction((trx) => markDestroyed(trx, 'a1'));
  expect(await getAgent(at.database, 'a1')).toMatchObject({
    inputs: null,
    secrets: null,
    server_id: null,
    ipv4: null,
    tailnet_ip: null,
    error: null,
    step: null,
  });
});

test('a step is shown only while the agent is being provisioned', async () => {
  await agentIn('destroying');
  await inTransaction((trx) => setAgentStep(trx, 'a1', 'verifying'));
  expect((await getAgent(at.database, 'a1')).step).not.toBe('verifying');
  await agentIn('provisioning');
  await inTransaction((trx) => setAgentStep(trx, 'a1', 'verifying'));
  expect((await getAgent(at.database, 'a1')).step).toBe('verifying');
});

test('a rollback clears addresses and keys of a failed agent only', async () => {
  await agentIn('running');
  await inTransaction((trx) => markRolledBack(trx, 'a1'));
  expect((await getAgent(at.database, 'a1')).server_id).toBe('1');
  await agentIn('failed');
  await at.database
    .updateTable('agents')
    .set({ server_id: '1', secrets: Buffer.of(1) })
    .execute();
  await inTransaction((trx) => markRolledBack(trx, 'a1'));
  expect(await getAgent(at.database, 'a1')).toMatchObject({
    server_id: null,
    // They belong to nothing any more, and keys under a wrong passphrase would block every later provision.
    secrets: null,
    status: 'failed',
    error: 'why',
  });
});

test('a refresh updates its findings and not the status', async () => {
  await agentIn('stopped');
  await inTransaction((trx) =>
    recordRefresh(trx, 'a1', { outputs: { ...outputs, ipv4: '192.0.2.9' }, health: 'unhealthy' }),
  );
  expect(await getAgent(at.database, 'a1')).toMatchObject({
    status: 'stopped',
    ipv4: '192.0.2.9',
    health: 'unhealthy',
    error: null,
  });
});

test('pages list every agent once, newest first, even with equal times', async () => {
  const ids = ['b1', 'b2', 'b3', 'b4', 'b5'];
  for (const agentId of ids) await insertAgent(at.database, { ...agent, agentId });
  await at.database.updateTable('agents').set({ created_at: '2026-01-01T00:00:00.123456Z' }).execute();
  const seen: string[] = [];
  for (;;) {
    const cursor = seen.length === 0 ? undefined : { agentId: seen.at(-1)! };
    const page = await listAgents(at.database, { cursor, limit: 2 });
    if (page.length === 0) break;
    seen.push(...page.map((row) => row.agent_id));
  }
  expect(seen).toEqual(ids);
});

test('an unknown agent is reported as such', async () => {
  await expect(getAgent(at.database, 'nobody')).rejects.toThrow(NotFoundError);
  await expect(inTransaction((trx) => markRunning(trx, [{ agentId: 'nobody', outputs }]))).rejects.toThrow(
    ConflictError,
  );
});

test('a hibernate that ends without success leaves the agent hibernated once a snapshot is recorded', async () => {
  const end = () => inTransaction((trx) => endHibernation(trx, 'a1', 'why not'));
  await agentIn('suspended');
  expect(await end()).toBe(false);
  expect(await getAgent(at.database, 'a1')).toMatchObject({ status: 'suspended', error: 'why not' });
  await inTransaction((trx) => recordSnapshot(trx, 'a1', '9'));
  expect(await end()).toBe(true);
  expect(await getAgent(at.database, 'a1')).toMatchObject({
    status: 'hibernated',
    snapshot_id: '9',
    server_id: null,
    error: 'why not',
  });
  for (const status of ['running', 'destroying'] as const) {
    await agentIn(status);
    await expect(inTransaction((trx) => recordSnapshot(trx, 'a1', '9'))).rejects.toThrow(
      'can no longer be hibernated',
    );
    expect(await end()).toBe(false);
    expect(await getAgent(at.database, 'a1')).toMatchObject({ status, snapshot_id: null, error: 'why' });
  }
});
