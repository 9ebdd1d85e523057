import type { KyselyPlugin } from 'kysely';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createEventHub, type EventHub } from '../../../src/operations/events/event-hub.ts';
import { appendEvents } from '../../../src/operations/events/events.ts';
import { openFeed } from '../../../src/operations/events/feed.ts';
import { createSharedFeed, type Listener, type News } from '../../../src/operations/events/shared-feed.ts';
import { Secret } from '../../../src/secret.ts';
import { type OperationsFixture, openOperations, order } from '../../support/operations-fixture.ts';

let at: OperationsFixture;
let events: EventHub;
beforeAll(async () => {
  at = await openOperations();
  events = createEventHub({ url: new Secret(at.url), log: at.log });
});
afterAll(async () => {
  await events.close();
  await at.close();
});
beforeEach(() => at.empty());

const STEPS = ['creating_server', 'joining_network', 'configuring', 'verifying', 'running'];

const enter = (operationId: string, step: string) =>
  at.database
    .transaction()
    .execute((trx) => appendEvents(trx, operationId, 1, [{ type: 'step', data: { step } }]));

const isOperations = (word: string) => word !== 'change';

const words = (news: readonly News[]) =>
  news.map((one) => (one === 'change' ? one : `${one.agentId} ${one.data.step ?? one.data.status}`));

/**
 * Listens until it has heard so much, and what came with it. `isHeard`: what counts; an earlier test may
 * still tell of what it has removed.
 */
async function hear(listener: Listener, count: number, isHeard = (_: string) => true): Promise<string[]> {
  const heard: string[] = [];
  while (heard.length < count) {
    const news = await listener.next(AbortSignal.timeout(30_000));
    if (news === undefined) break;
    heard.push(...words(news).filter(isHeard));
  }
  return heard;
}

test('fifty listeners hear every change once, in order, and the database is asked as often as by one', async () => {
  let statements = 0;
  const counting: KyselyPlugin = {
    transformQuery: ({ node }) => {
      statements += 1;
      return node;
    },
    transformResult: async ({ result }) => result,
  };
  const feed = createSharedFeed({ database: at.database.withPlugin(counting), events });
  const listeners = await Promise.all(Array.from({ length: 50 }, () => feed.listen()));
  const opened = statements;
  expect(opened).toBe(2);
  const hearing = listeners.map((listener) => hear(listener, STEPS.length + 1, isOperations));
  const { operation_id: id } = await order(at, 'ada');
  for (const step of STEPS) await enter(id, step);
  const expected = ['ada queued', ...STEPS.map((step) => `ada ${step}`)];
  expect(await Promise.all(hearing)).toEqual(Array.from({ length: 50 }, () => expected));
  // One reading may hold several changes; none is read for a listener. Three: it also looked by itself.
  expect(statements - opened).toBeLessThanOrEqual(3 * (STEPS.length + 1));
  for (const listener of listeners) listener.close();
});

test('who joins later hears what comes from then on, and the last one to leave ends the reading', async () => {
  const feed = createSharedFeed({ database: at.database, events });
  const first = await feed.listen();
  const { operation_id: id } = await order(at, 'ada');
  expect(await hear(first, 1)).toEqual(['ada queued']);
  const second = await feed.listen();
  await enter(id, 'creating_server');
  expect(await Promise.all([hear(first, 1), hear(second, 1)])).toEqual([
    ['ada creating_server'],
    ['ada creating_server'],
  ]);
  first.close();
  second.close();
  await enter(id, 'verifying');
  const third = await feed.listen();
  await enter(id, 'running');
  expect(await hear(third, 1)).toEqual(['ada running']);
  third.close();
});

test('what changes without an operation is told too, and what looks the same is not', async () => {
  await order(at, 'ada');
  const feed = createSharedFeed({ database: at.database, events });
  const listener = await feed.listen();
  const told = async (statement: string) => {
    await sql.raw(statement).execute(at.database);
    return hear(listener, 1);
  };
  for (const statement of [
    "update agents set health = 'unhealthy', unhealthy_since = now()",
    'update agents set protected = true',
    "insert into holds (agent_id, reason, since, by_whom) values ('ada', 'abuse', now(), 'p')",
    'delete from holds',
    "update breakers set tripped_at = now(), cause = 'too many' where name = 'creates'",
    "update breakers set tripped_at = null, cause = null where name = 'creates'",
    "insert into findings (source, key, class, cause, cure, since) values ('s', 'k', 'mismatch', 'c', 'd', now())",
    "update findings set cause = 'another'",
    'delete from findings',
    "insert into workers (worker_id, host, process, concurrency) values ('w1', 'h', 'p', 1)",
    "insert into checks (worker_id, name, ok, blocks, detail) values ('w1', 'hetzner', true, false, 'fine')",
    "update checks set ok = false, cure = 'Set it.'",
  ])
    expect({ statement, told: await told(statement) }).toEqual({ statement, told: ['change'] });
  await sql`update workers set seen_at = now()`.execute(at.database);
  await sql`update checks set checked_at = now()`.execute(at.database);
  await sql`update agents set health = health`.execute(at.database);
  await sql`update workers set worker_id = worker_id`.execute(at.database);
  await order(at, 'bob');
  expect(await hear(listener, 1)).toEqual(['bob queued']);
  listener.close();
});

test('whoever cannot keep up, or whose feed cannot be read, hears that it is over', async () => {
  const feed = createSharedFeed({ database: at.database, events });
  const slow = await feed.listen();
  const { operation_id: id } = await order(at, 'ada');
  const many = Array.from({ length: 2_001 }, () => ({ type: 'step' as const, data: { step: 'verifying' } }));
  await at.database.transaction().execute((trx) => appendEvents(trx, id, 1, many));
  await expect
    .poll(async () => (await slow.next(AbortSignal.timeout(100)))?.length, { timeout: 20_000 })
    .toBeUndefined();

  let isBroken = false;
  const breaking: KyselyPlugin = {
    transformQuery: ({ node }) => {
      if (isBroken) throw new Error('the database is away');
      return node;
    },
    transformResult: async ({ result }) => result,
  };
  const other = createSharedFeed({ database: at.database.withPlugin(breaking), events });
  const listeners = await Promise.all([other.listen(), other.listen()]);
  isBroken = true;
  await enter(id, 'running');
  for (const listener of listeners) expect(await listener.next(AbortSignal.timeout(30_000))).toBeUndefined();
  await expect(other.listen()).rejects.toThrow('the database is away');
  isBroken = false;
  const again = await other.listen();
  await enter(id, 'running');
  expect(await hear(again, 1)).toEqual(['ada running']);
  again.close();
});

test('a feed that forgets operations repeats nothing and misses nothing', async () => {
  const feed = await openFeed(at.database, 3);
  const operations = [];
  for (let index = 0; index < 8; index += 1) operations.push(await order(at, `a${index}`));
  expect(words(await feed.next('any'))).toEqual(operations.map((_, index) => `a${index} queued`));
  for (const { operation_id: id } of operations) await enter(id, 'verifying');
  expect(words(await feed.next('any'))).toEqual(operations.map((_, index) => `a${index} verifying`));
  expect(await feed.next('any')).toEqual([]);
});
