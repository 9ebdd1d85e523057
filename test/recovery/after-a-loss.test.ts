import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { checkStamp } from '../../src/database/stamp.ts';
import { ConflictError } from '../../src/errors.ts';
import type { Server, SshKey } from '../../src/hetzner/hetzner.ts';
import { findBuyers } from '../../src/notices/buyers.ts';
import { acceptState } from '../../src/recovery/accept.ts';
import { destroyGone } from '../../src/recovery/gone.ts';
import { checkLostState } from '../../src/recovery/lost-state.ts';
import { type Bought, restoreOrders } from '../../src/recovery/orders.ts';
import { nameFinder, type Survey, type SurveyedProject } from '../../src/recovery/survey.ts';
import { type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(() => at.empty());

const NOTHING: Survey = { servers: [], sshKeys: [], snapshots: [], devices: [] };
const named = { id: '7', name: 'agent-gone' };

describe('an agent of a backup of which no list has anything', () => {
  const setUp = async (columns: object = {}) => {
    for (const [index, agentId] of ['gone', 'b', 'c'].entries()) {
      await order(at, agentId);
      await at.database
        .updateTable('agents')
        .set({
          status: 'running',
          step: 'running',
          server_id: `${index}`,
          server_name: `agent-${agentId}`,
          ipv4: `192.0.2.${index}`,
          ipv6: `2001:db8::${index}`,
          tailnet_ip: `100.64.0.${index}`,
          tailnet_name: `${agentId}.tail.ts.net`,
          ...(agentId === 'gone' && columns),
        })
        .where('agent_id', '=', agentId)
        .execute();
    }
    await at.database
      .updateTable('operations')
      .set({ status: 'succeeded', finished_at: new Date() })
      .execute();
  };
  const destroy = (calls: Partial<SurveyedProject> = {}, survey: Partial<Survey> = {}) => {
    const servers = ['b', 'c'].map((id) => ({ id, name: `agent-${id}`, labels: {} }) as never);
    const seen: Survey = { ...NOTHING, servers, ...survey };
    const none = async () => undefined;
    const client = { getServer: none, findServer: none, findSshKey: none, getSnapshot: none, ...calls };
    const projects = new Map([['default', client as unknown as SurveyedProject]]);
    return destroyGone(
      { database: at.database, queue: at.queue, clouds: { projects } },
      { survey: seen, isNamed: nameFinder(seen, []) },
      'ann',
    );
  };

  test('is destroyed if no call finds it either', async () => {
    await setUp();
    expect(await destroy()).toEqual({ destroyed: ['gone'], unclear: [] });
  });

  test.each<[string, object, Partial<SurveyedProject>, Partial<Survey>, RegExp]>([
    ['is protected', { protected: true }, {}, {}, /is protected/],
    ['has a server', {}, { getServer: async () => named as Server }, {}, /server agent-gone \(7\)/],
    ['has a server of its name', {}, { findServer: async () => named as Server }, {}, /server agent-gone/],
    ['has an SSH key', {}, { findSshKey: async () => named as never }, {}, /SSH key agent-gone/],
    [
      'has a snapshot',
      { snapshot_id: '9' },
      { getSnapshot: async () => ({ id: '9' }) as never },
      {},
      /snapshot 9/,
    ],
    ['is in a project that cannot be asked', { project: 'other' }, {}, {}, /project other/],
    ['has a device', {}, {}, { devices: [{ name: 'agent-gone.tail.ts.net' } as never] }, /carries its name/],
  ])('is left to a person if it %s', async (_, columns, calls, survey, cause) => {
    await setUp(columns);
    const { destroyed, unclear } = await destroy(calls, survey);
    expect(destroyed).toEqual([]);
    expect(unclear).toEqual([
      expect.objectContaining({ agentId: 'gone', cause: expect.stringMatching(cause) }),
    ]);
  });

  test('is left to a person if it is held', async () => {
    await setUp();
    await at.database
      .insertInto('holds')
      .values({ agent_id: 'gone', reason: 'abuse', since: new Date(), by_whom: 'ann', note: null })
      .execute();
    expect((await destroy()).unclear[0]?.cause).toMatch(/is held/);
  });
});

describe('an order whose subscription has ended, of an agent without a row', () => {
  const AGENT = {
    agentId: 'a1',
    userId: 'u1',
    region: 'eu-west',
    location: 'nbg1',
    plan: 'starter',
  } as const;
  const bought = (...ids: string[]): Bought['orders'] =>
    ids.map((id, index) => ({
      event: {
        id: `evt_${id}`,
        type: 'checkout.session.completed',
        livemode: false,
        objectId: id,
        createdAt: new Date(index),
        payload: {},
      } as never,
      decision: {
        kind: 'provision',
        order: { sessionId: id, subscriptionId: `sub_${id}`, customerId: 'cus', metadata: {} } as never,
        agent: { ...AGENT, subscriptionId: `sub_${id}` },
      },
    }));
  const subscriptions = (statuses: Record<string, string>): Bought['subscriptions'] =>
    new Map(
      Object.entries(statuses).map(([id, status]) => [
        `sub_${id}`,
        { subscriptionId: `sub_${id}`, status, metadata: {}, customerId: 'cus' } as never,
      ]),
    );
  const statusOf = async () =>
    (await at.database.selectFrom('agents').select('status').executeTakeFirst())?.status;

  test('keeps where its buyer’s mail goes', async () => {
    await order(at, 'a1');
    await at.database.updateTable('agents').set({ user_id: 'u1' }).execute();
    const [one] = bought('one');
    const payload = { data: { object: { customer_details: { email: 'ada@example.com' } } } };
    const orders = [{ ...one!, event: { ...one!.event, payload } }];
    await restoreOrders(at.database, { orders, subscriptions: subscriptions({ one: 'active' }) }, () => true);
    const buyers = await at.database.transaction().execute((trx) => findBuyers(trx, ['a1']));
    expect(buyers.get('a1')).toBe('ada@example.com');
  });

  test('keeps its id from being used again', async () => {
    const { restored } = await restoreOrders(
      at.database,
      { orders: bought('one'), subscriptions: subscriptions({ one: 'canceled' }) },
      () => false,
    );
    expect([restored, await statusOf()]).toEqual([1, 'destroyed']);
  });

  test.each([
    ['something at the clouds names it', bought('one'), { one: 'canceled' }, true, 1],
    ['another order of it is paid', bought('one', 'two'), { one: 'canceled', two: 'active' }, false, 2],
  ])('makes nothing of it if %s', async (_, orders, statuses, isNamed, unclear) => {
    const result = await restoreOrders(
      at.database,
      { orders, subscriptions: subscriptions(statuses) },
      () => isNamed,
    );
    expect(result.restored).toBe(0);
    expect(result.unclear).toHaveLength(unclear);
    expect(result.unclear[0]?.cause).toMatch(/may exist/);
    expect(await statusOf()).toBeUndefined();
  });
});

test('without access to Hetzner, Pulumi’s stacks tell whether a new database stands in for a lost one', async () => {
  for (const [stacks, recovery] of [
    [true, 'needed'],
    [false, 'none'],
  ] as const) {
    await at.database.deleteFrom('installation').execute();
    await checkStamp(at.database, { mode: 'sandbox', accounts: {} });
    await checkLostState({
      database: at.database,
      projects: [],
      hasStacks: async () => stacks,
      log: at.log,
    });
    expect(await at.database.selectFrom('installation').select('recovery').execute()).toEqual([{ recovery }]);
  }
});

test('a rehearsal’s new database waits if a key’s record is its own, and not for those of its clouds’ owner', async () => {
  const [theirs, ours, bare] = ['srv-1', 'srv-2', 'srv-3'].map((name) => ({ name }) as SshKey);
  // Of two pages, so that the second one counts.
  const project = (last: SshKey) => ({
    serverPage: async () => expect.unreachable('servers do not say whose they are'),
    sshKeyPage: async (page: number) =>
      page === 1
        ? { items: [theirs!, bare!], total: 3, nextPage: 2 }
        : { items: [last], total: 3, nextPage: null },
  });
  for (const [last, recovery] of [
    [ours!, 'needed'],
    [bare!, 'none'],
  ] as const) {
    await at.database.deleteFrom('installation').execute();
    await checkStamp(at.database, { mode: 'rehearsal', accounts: {} });
    await checkLostState({
      database: at.database,
      projects: [project(last)],
      isOwn: async ({ name }) => name === ours!.name,
      hasStacks: async () => false,
      log: at.log,
    });
    expect(await at.database.selectFrom('installation').select('recovery').execute()).toEqual([{ recovery }]);
  }
});

test('where only runners have the keys, a person vouches for the rows once, in the audit log', async () => {
  const accept = () => acceptState(at, { actor: 'ann', note: 'nothing was sold since' });
  await checkStamp(at.database, { mode: 'sandbox', accounts: {} });
  await sql`update installation set recovery = 'needed'`.execute(at.database);
  await accept();
  const { rows } = await sql`select recovery from installation`.execute(at.database);
  expect(rows).toEqual([{ recovery: 'none' }]);
  const audited = await at.database
    .selectFrom('audit_log')
    .select(['actor', 'details'])
    .where('action', '=', 'recovery.accepted')
    .execute();
  expect(audited).toEqual([{ actor: 'ann', details: { note: 'nothing was sold since' } }]);
  await expect(accept()).rejects.toBeInstanceOf(ConflictError);
});
