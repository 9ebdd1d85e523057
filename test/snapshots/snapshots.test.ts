import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { listSnapshots, requestSnapshotRemoval } from '../../src/agents/snapshots.ts';
import { getAgent } from '../../src/agents/store.ts';
import type { SnapshotPolicy } from '../../src/config/snapshots.ts';
import type { Transaction } from '../../src/database/connect.ts';
import {
  CancelledError,
  ConflictError,
  InvalidInputError,
  LostError,
  PermanentError,
  RetryableError,
} from '../../src/errors.ts';
import { recordForRunner, recordSchema } from '../../src/executors/github-actions/record.ts';
import { createLastSnapshots } from '../../src/operations/snapshot-parts.ts';
import { listAttention } from '../../src/reconcile/attention.ts';
import { destroy } from '../../src/runbooks/destroy.ts';
import { createFoundationStore } from '../../src/runbooks/steps/foundation-store.ts';
import { Secret } from '../../src/secret.ts';
import { readSnapshotAges } from '../../src/snapshots/ages.ts';
import { finishDrill, listDrills, startDrill, takeRunning } from '../../src/snapshots/drills.ts';
import { lookAfterSnapshots } from '../../src/snapshots/loop.ts';
import {
  ask,
  claim,
  listOperations,
  type OperationsFixture,
  openOperations,
  order,
} from '../support/operations-fixture.ts';
import { attemptNext, runningAgent } from '../support/runbook-attempts.ts';
import { createRunbookFixture, prepareAttempt, type RunbookFixture } from '../support/runbook-fixture.ts';

let at: OperationsFixture;
let fixture: RunbookFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  fixture = createRunbookFixture(at);
  await running('a1', 42);
});

async function running(agentId: string, serverId: number): Promise<void> {
  const device = { tailnetIp: `100.64.0.${serverId}`, tailnetNodeId: `n${serverId}` };
  await runningAgent(at, fixture, { agentId, serverId, ...device });
  await at.database
    .updateTable('agents')
    .set({ created_at: new Date('2026-01-01') })
    .execute();
}

const RULES = { everyMs: undefined, keep: 2, lastMs: undefined };
const toPolicy = (rules: Partial<SnapshotPolicy['pro']> = {}): SnapshotPolicy => {
  const all = { ...RULES, ...rules };
  return { starter: all, pro: all, max: all };
};
const DAY = 86_400_000;
const DAILY = toPolicy({ everyMs: DAY });
const look = (policy = toPolicy()) =>
  lookAfterSnapshots({ database: at.database, openProject: () => fixture.deps.hetzner, policy });

const attempt = (abort?: Error) => attemptNext(at, fixture, { ...(abort && { abort }) });

async function made(): Promise<void> {
  await ask(at, 'a1', 'snapshot');
  expect((await attempt()).error).toBeUndefined();
}

/** As if everything of now had happened so many days ago. */
const age = (days: number) =>
  sql`update agent_snapshots set made_at = made_at - make_interval(days => ${days})`.execute(at.database);
const forgetOperations = () =>
  sql`update operations set created_at = created_at - interval '9 days'`.execute(at.database);
const rows = () => listSnapshots(at.database, 'a1');
const kinds = async () => (await listOperations(at, 'a1')).map(({ kind }) => kind);

describe('a snapshot', () => {
  test('is recorded before it is made, and labelled as what it is; the agent stays as it was', async () => {
    const before = await getAgent(at.database, 'a1');
    const { operation_id: id } = await ask(at, 'a1', 'snapshot');
    const { createSnapshot } = fixture.deps.hetzner;
    fixture.deps.hetzner.createSnapshot = async (...given) => {
      expect(await rows()).toMatchObject([{ snapshot_id: id, status: 'making', why: 'by-hand' }]);
      return createSnapshot(...given);
    };
    expect((await attempt()).error).toBeUndefined();
    expect(fixture.snapshots).toMatchObject([
      {
        name: 'agent-a1 snapshot',
        labels: { 'agent-id': 'a1', 'managed-by': 'agents', 'agent-snapshot': id, 'made-for': 'by-hand' },
      },
    ]);
    const { secrets, snapshot_id } = before;
    expect(await rows()).toMatchObject([
      { snapshot_id: id, status: 'available', hetzner_id: '9001', size_gb: 0.4, server_id: '42', secrets },
    ]);
    const { status, health } = before;
    expect(await getAgent(at.database, 'a1')).toMatchObject({ status, health, snapshot_id, error: null });
    expect(fixture.servers).toMatchObject([{ id: '42', status: 'running' }]);
  });

  test('that a killed attempt has begun is waited for, and none is made beside it', async () => {
    await ask(at, 'a1', 'snapshot');
    fixture.answers.snapshot = [new RetryableError('no answer')];
    expect((await attempt()).error).toMatchObject({ message: 'no answer' });
    expect(fixture.snapshots).toMatchObject([{ status: 'creating' }]);
    fixture.calls.length = 0;
    expect((await attempt()).error).toBeUndefined();
    expect(fixture.calls).toContain('await snapshot 9001');
    expect(fixture.snapshots).toHaveLength(1);
    expect(await rows()).toMatchObject([{ status: 'available', hetzner_id: '9001' }]);
  });

  test('that Hetzner could not make is replaced', async () => {
    await ask(at, 'a1', 'snapshot');
    fixture.answers.snapshot = [new RetryableError('failed')];
    await attempt();
    fixture.snapshots[0]!.status = 'unavailable';
    expect((await attempt()).error).toBeUndefined();
    expect(fixture.snapshots).toMatchObject([{ id: '9002', status: 'available' }]);
  });

  test('that fails harms nothing: the agent is as before, a person is told, the rest is collected', async () => {
    await ask(at, 'a1', 'snapshot');
    fixture.answers.snapshot = [new PermanentError('limit reached')];
    await attempt();
    expect(await getAgent(at.database, 'a1')).toMatchObject({
      status: 'running',
      health: 'healthy',
      error: null,
    });
    expect(fixture.snapshots).toHaveLength(1);
    await look();
    expect(fixture.snapshots).toEqual([]);
    expect(await rows()).toMatchObject([{ status: 'removed', error: 'limit reached', secrets: null }]);
    const told = async () => (await listAttention(at.database, { limit: 9 })).map(({ cause }) => cause);
    expect(await told()).toContain('No snapshot of a1 could be made: limit reached');
    await made();
    expect(await told()).toEqual([]);
  });

  test('that is cancelled, or whose worker is killed for good, leaves nothing', async () => {
    await ask(at, 'a1', 'snapshot');
    await attempt(new CancelledError('Cancelled'));
    await ask(at, 'a1', 'snapshot');
    fixture.answers.snapshot = [new CancelledError('Cancelled')];
    await attempt();
    expect(fixture.snapshots).toHaveLength(1);
    await look();
    expect(fixture.snapshots).toEqual([]);
    const all = await at.database.selectFrom('agent_snapshots').select('status').execute();
    expect(all.map(({ status }) => status)).toEqual(['removed', 'removed']);
  });

  test('is refused while the agent has no server', async () => {
    await ask(at, 'a1', 'destroy');
    await expect(ask(at, 'a1', 'snapshot')).rejects.toThrow(
      'possible while it is running, stopped, suspended',
    );
  });
});

describe('the schedule', () => {
  test('takes the longest overdue, one at a time, and never an agent that something is done to', async () => {
    await running('a2', 43);
    await look(toPolicy());
    expect(await kinds()).toEqual(['provision']);
    await ask(at, 'a1', 'refresh');
    await look(DAILY);
    await look(DAILY);
    expect((await listOperations(at, 'a2')).map(({ kind }) => kind)).toEqual(['provision', 'snapshot']);
    expect(await kinds()).toEqual(['provision', 'refresh']);
    expect((await listOperations(at, 'a2')).at(-1)).toMatchObject({ priority: -2 });
  });

  test('waits for its time, and after a failure for a part of it', async () => {
    await look(DAILY);
    fixture.answers.snapshot = [new PermanentError('limit reached')];
    await attempt();
    await look(DAILY);
    expect(await kinds()).toEqual(['provision', 'snapshot']);
    await forgetOperations();
    await look(DAILY);
    await attempt();
    expect(await rows()).toMatchObject([{ why: 'scheduled', status: 'available' }, { status: 'removed' }]);
    await forgetOperations();
    await look(DAILY);
    expect(await kinds()).toHaveLength(3);
  });

  test('makes another one for one that is lost, but not at once', async () => {
    await look(DAILY);
    await attempt();
    await sql`update agent_snapshots set status = 'lost', ended_at = now(), secrets = null`.execute(
      at.database,
    );
    await look(DAILY);
    expect(await kinds()).toEqual(['provision', 'snapshot']);
    await sql`update agent_snapshots set ended_at = now() - interval '1 day'`.execute(at.database);
    await look(DAILY);
    expect(await kinds()).toEqual(['provision', 'snapshot', 'snapshot']);
  });

  test('keeps so many of its own, and all that a person has made', async () => {
    await made();
    for (let number = 0; number < 4; number += 1) {
      // Business time: a clock that was moved leaves the operations' own times behind.
      await age(2);
      await look(DAILY);
      await attempt();
    }
    await look(DAILY);
    const kept = (await rows()).map(({ why, hetzner_id: id }) => [why, id]);
    expect(kept).toEqual([
      ['scheduled', '9005'],
      ['scheduled', '9004'],
      ['by-hand', '9001'],
    ]);
    expect(fixture.snapshots.map(({ id }) => id)).toEqual(['9001', '9004', '9005']);
    const audited = await at.database
      .selectFrom('audit_log')
      .select('details')
      .where('action', '=', 'snapshot.removed')
      .orderBy('id')
      .execute();
    expect(audited.map(({ details }) => details.deleted)).toEqual([['9002'], ['9003']]);
  });
});

describe('a removal', () => {
  test('that a person asks for is tried until Hetzner has nothing more of it', async () => {
    await made();
    const { snapshot_id: id } = (await rows())[0]!;
    await at.database.transaction().execute((trx) => requestSnapshotRemoval(trx, id));
    const { deleteSnapshot } = fixture.deps.hetzner;
    fixture.deps.hetzner.deleteSnapshot = async () => {
      throw new PermanentError('protected');
    };
    await look();
    expect(await rows()).toMatchObject([{ status: 'removing', tries: 1 }]);
    expect(await listAttention(at.database, { limit: 9 })).toMatchObject([
      { class: 'mismatch', cause: 'A snapshot of a1 is still billed. It could not be removed: protected' },
    ]);
    fixture.deps.hetzner.deleteSnapshot = deleteSnapshot;
    await sql`update agent_snapshots set run_after = now()`.execute(at.database);
    await look();
    expect(fixture.snapshots).toEqual([]);
    expect(await rows()).toEqual([]);
  });

  test('spares what another agent’s labels name: a runner may have reported a wrong id', async () => {
    await made();
    const foreign = { ...fixture.snapshots[0]!, id: '7', name: 'agent-a2', labels: { 'agent-id': 'a2' } };
    fixture.snapshots.push(foreign);
    await sql`update agent_snapshots set hetzner_id = '7', status = 'removing'`.execute(at.database);
    await look();
    expect(fixture.snapshots).toEqual([foreign]);
  });
});

const LAST = toPolicy({ lastMs: 30 * DAY });
const lastKept = (policy: SnapshotPolicy) => {
  fixture.deps.lastSnapshots = createLastSnapshots(at.database, policy);
};
const receipt = async () =>
  (await at.database.selectFrom('receipts').select('body').executeTakeFirstOrThrow()).body as {
    lastSnapshot: object | null;
    evidence: { removed: { kind: string; id: string }[] };
  };

describe('a destroy', () => {
  beforeEach(() => lastKept(LAST));

  test('of a plan that says so keeps a last one of the disk at rest, and removes the others', async () => {
    await made();
    const { operation_id: id } = await ask(at, 'a1', 'destroy');
    fixture.calls.length = 0;
    expect((await attempt()).error).toBeUndefined();
    const order = [
      'shut down 42',
      'snapshot 42',
      'destroy agent',
      'delete server 42',
      'delete snapshot 9001',
    ];
    expect(fixture.calls.filter((call) => order.includes(call))).toEqual(order);
    expect(fixture.snapshots).toMatchObject([{ id: '9002', labels: { 'made-for': 'before-destroy' } }]);
    expect(await getAgent(at.database, 'a1')).toMatchObject({ status: 'destroyed' });
    const { lastSnapshot, evidence } = await receipt();
    const keptUntil = expect.any(String);
    expect(lastSnapshot).toEqual({ snapshotId: id, hetznerId: '9002', sizeGb: 0.4, keptUntil });
    expect(evidence.removed.map(({ id }) => id)).not.toContain('9002');
    await look();
    expect(await rows()).toMatchObject([{ why: 'before-destroy', status: 'available', secrets: null }]);
  });

  test('leaves no trace once the time of the last one is over, and the audit log says so', async () => {
    await ask(at, 'a1', 'destroy');
    await attempt();
    await sql`update agent_snapshots set delete_after = now() - interval '1 second'`.execute(at.database);
    await look();
    expect(fixture.snapshots).toEqual([]);
    const { details } = await at.database
      .selectFrom('audit_log')
      .select('details')
      .where('action', '=', 'snapshot.removed')
      .executeTakeFirstOrThrow();
    expect(details).toMatchObject({ why: 'before-destroy', hetznerId: '9001', deleted: ['9001'] });
  });

  test('deletes nothing before the last one is recorded, and makes it only once', async () => {
    await ask(at, 'a1', 'destroy');
    fixture.answers.snapshot = [new RetryableError('limit reached')];
    expect((await attempt()).error).toMatchObject({ message: 'limit reached' });
    expect(fixture.servers).toHaveLength(1);
    const keep = fixture.deps.lastSnapshots!.keep;
    fixture.deps.lastSnapshots!.keep = async (...given) => {
      expect(fixture.servers).toHaveLength(1);
      await keep(...given);
      throw new LostError('killed');
    };
    await attempt();
    expect(fixture.servers).toHaveLength(1);
    lastKept(LAST);
    fixture.answers['destroy agent'] = [new PermanentError('Pulumi failed')];
    expect((await attempt()).error).toMatchObject({ message: 'Pulumi failed' });
    await look();
    // The next destroy is another operation.
    expect((await attempt()).error).toBeUndefined();
    expect(fixture.snapshots).toMatchObject([{ id: '9001' }]);
    expect((await receipt()).lastSnapshot).toMatchObject({ hetznerId: '9001' });
  });

  test('of a hibernated agent keeps the snapshot in whose place its server was deleted', async () => {
    const own = { id: '77', name: 'agent-a1', labels: { 'agent-id': 'a1', 'managed-by': 'agents' } };
    fixture.snapshots.push({
      ...own,
      status: 'available',
      sizeGb: 2,
      serverId: '42',
      isProtected: false,
      createdAt: new Date(),
    });
    fixture.servers.length = 0;
    await sql`update agents set status = 'hibernated', snapshot_id = '77', server_id = null, server_name = null,
      ipv4 = null, ipv6 = null, health = 'unknown'`.execute(at.database);
    await ask(at, 'a1', 'destroy');
    expect((await attempt()).error).toBeUndefined();
    expect(fixture.snapshots.map(({ id }) => id)).toEqual(['77']);
    expect((await receipt()).lastSnapshot).toMatchObject({ hetznerId: '77', sizeGb: 2 });
    await sql`update agent_snapshots set delete_after = now() - interval '1 second'`.execute(at.database);
    await look();
    expect(fixture.snapshots).toEqual([]);
  });

  test('of an agent that was being put back to a snapshot keeps that one', async () => {
    await made();
    fixture.servers.length = 0;
    await sql`update agents set status = 'hibernated', snapshot_id = '9001', server_id = null, server_name = null,
      ipv4 = null, ipv6 = null, health = 'unknown'`.execute(at.database);
    await ask(at, 'a1', 'destroy');
    expect((await attempt()).error).toBeUndefined();
    await look();
    expect(fixture.snapshots.map(({ id }) => id)).toEqual(['9001']);
    expect((await receipt()).lastSnapshot).toMatchObject({ hetznerId: '9001' });
    expect(await rows()).toMatchObject([{ why: 'before-destroy', status: 'available' }]);
  });

  test('of an agent that never ran keeps nothing', async () => {
    await order(at, 'a2');
    await at.database
      .updateTable('operations')
      .set({ priority: -9 })
      .where('kind', '=', 'provision')
      .execute();
    await ask(at, 'a2', 'destroy');
    expect((await attempt()).error).toBeUndefined();
    expect(fixture.snapshots).toEqual([]);
    expect((await receipt()).lastSnapshot).toBeNull();
  });

  test('by a runner keeps one too: the service decides, and records it', async () => {
    const { operation_id: jobId } = await ask(at, 'a1', 'destroy');
    const { run } = await prepareAttempt(at, (await claim(at)).row, fixture);
    await sql`update operations set executor = 'github-actions'`.execute(at.database);
    const deps = {
      ...{ database: at.database, callbackSecret: new Secret('secret'), snapshots: LAST },
      foundations: createFoundationStore(at.database, { evict: async () => {} }),
    };
    const send = (record: object) => recordForRunner(deps, { jobId }, recordSchema.parse(record));
    fixture.deps.lastSnapshots = {
      begin: async () => (await send({ kind: 'last-snapshot' })).last!,
      keep: async (_run, made) => void (await send({ kind: 'last-snapshot', made })),
      endDrill: async () => (await send({ kind: 'last-snapshot' })).last!.drillId,
    };
    await destroy.run(fixture.deps)(run);
    expect(fixture.snapshots).toHaveLength(1);
    expect(await rows()).toMatchObject([{ why: 'before-destroy', status: 'available' }]);
  });
});

/** A restore drill with a1's snapshot, whose server a worker looks after. */
async function drilling(): Promise<string> {
  await made();
  return (await startDrill(at.database, { agentId: 'a1', cause: 'schedule' })).drill_id;
}
/** The worker has found the drill's server gone. */
async function drillGone(): Promise<void> {
  const finish = async (trx: Transaction) => finishDrill(trx, (await takeRunning(trx))!);
  await at.database.transaction().execute(finish);
}
const toldOfDrills = async () =>
  (await listAttention(at.database, { limit: 9 })).filter(({ cause }) => cause.includes('drill'));

describe('a destroy during a restore drill', () => {
  test('ends it, deletes nothing before its server is gone, and nobody is told of a failure', async () => {
    lastKept(toPolicy());
    const drillId = await drilling();
    await ask(at, 'a1', 'destroy');
    expect((await attempt()).error).toMatchObject({ message: expect.stringContaining(drillId) });
    expect(fixture.servers).toHaveLength(1);
    expect(await listDrills(at.database, 9)).toMatchObject([
      { status: 'running', passed: false, error: 'Its agent is being destroyed' },
    ]);
    await expect(startDrill(at.database, { agentId: 'a1', cause: 'person' })).rejects.toThrow(ConflictError);
    await drillGone();
    expect((await attempt()).error).toBeUndefined();
    expect(await getAgent(at.database, 'a1')).toMatchObject({ status: 'destroyed' });
    expect(await listDrills(at.database, 9)).toMatchObject([{ status: 'cancelled' }]);
    expect(await toldOfDrills()).toEqual([]);
    expect(await readSnapshotAges(at.database)).toMatchObject({ hasPassed: null });
  });

  test('that a worker has in hand ends it as soon as it may, and waits no longer than it must', async () => {
    lastKept(toPolicy());
    const drillId = await drilling();
    await ask(at, 'a1', 'destroy');
    await at.database.transaction().execute(async (trx) => {
      await takeRunning(trx);
      expect((await attempt()).error).toMatchObject({ message: expect.stringContaining(drillId) });
    });
    expect(await listDrills(at.database, 9)).toMatchObject([{ passed: null }]);
    await attempt();
    expect(await listDrills(at.database, 9)).toMatchObject([{ passed: false }]);
  });

  test('starts none: neither a person nor the schedule', async () => {
    await made();
    await ask(at, 'a1', 'destroy');
    await expect(startDrill(at.database, { agentId: 'a1', cause: 'person' })).rejects.toThrow(ConflictError);
  });

  test('by a runner ends it too, and the runner is told', async () => {
    const drillId = await drilling();
    const { asked } = await destroyedByRunner();
    expect(asked).toMatchObject({ last: { isWanted: true, drillId } });
    expect(await listDrills(at.database, 9)).toMatchObject([{ passed: false }]);
  });
});

/** A destroy of a1 on a runner, whose last snapshot has begun. */
async function destroyedByRunner() {
  const { operation_id: jobId } = await ask(at, 'a1', 'destroy');
  await claim(at);
  await sql`update operations set executor = 'github-actions'`.execute(at.database);
  const deps = {
    ...{ database: at.database, callbackSecret: new Secret('secret'), snapshots: LAST },
    foundations: createFoundationStore(at.database, { evict: async () => {} }),
  };
  const send = (record: object) => recordForRunner(deps, { jobId }, recordSchema.parse(record));
  const asked = await send({ kind: 'last-snapshot' });
  return { jobId, asked, tell: (made: object) => send({ kind: 'last-snapshot', made }) };
}

describe('what a runner tells of a last snapshot', () => {
  test('changes nothing of another agent’s: its id is refused', async () => {
    await made();
    await running('a2', 43);
    await sql`update agent_snapshots set agent_id = 'a2'`.execute(at.database);
    const { jobId, tell } = await destroyedByRunner();
    await expect(tell({ hetznerId: '9001', sizeGb: 1, serverId: '42' })).rejects.toThrow(InvalidInputError);
    expect(await listSnapshots(at.database, 'a2')).toMatchObject([
      { why: 'by-hand', status: 'available', delete_after: null },
    ]);
    expect(await rows()).toMatchObject([{ snapshot_id: jobId, status: 'making', hetzner_id: null }]);
  });

  test('is refused for one of its own that is being removed', async () => {
    await made();
    await sql`update agent_snapshots set status = 'removing'`.execute(at.database);
    const { tell } = await destroyedByRunner();
    await expect(tell({ hetznerId: '9001', sizeGb: 1, serverId: '42' })).rejects.toThrow(ConflictError);
  });
});

describe('a destroy without a last one', () => {
  test('takes every snapshot with it, and the receipt names them', async () => {
    await made();
    await made();
    await ask(at, 'a1', 'destroy');
    expect((await attempt()).error).toBeUndefined();
    expect(fixture.snapshots).toEqual([]);
    const { evidence, lastSnapshot } = await receipt();
    expect(lastSnapshot).toBeNull();
    expect(evidence.removed.filter(({ kind }) => kind === 'snapshot').map(({ id }) => id)).toEqual([
      '9001',
      '9002',
    ]);
    await look();
    expect(await rows()).toEqual([]);
    expect(await at.database.selectFrom('agent_snapshots').select(['status', 'secrets']).execute()).toEqual([
      { status: 'removed', secrets: null },
      { status: 'removed', secrets: null },
    ]);
  });
});
