import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { getAgent } from '../../src/agents/store.ts';
import { throughBreakers } from '../../src/billing/follow/hold-changes.ts';
import { ConflictError, ShortageError } from '../../src/errors.ts';
import { approveBreaker } from '../../src/limits/approve.ts';
import { releaseHeld } from '../../src/limits/release.ts';
import type { Claim } from '../../src/operations/claims.ts';
import { requestOperation } from '../../src/operations/requests.ts';
import { retryOperation } from '../../src/operations/retry.ts';
import { settleFailure, succeed } from '../../src/operations/settle.ts';
import { followAllHolds } from '../../src/reconcile/holds.ts';
import { hold } from '../support/holds.ts';
import {
  ask,
  claim,
  listOperations,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  operation,
  order,
} from '../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(() => at.empty());

const error = new ShortageError('Waiting for a server of plan pro in nbg1: cpx31 is sold out');
const sellOut = (mine: Claim) => settleFailure(at, mine, { error, step: 'preparing' });

/** An agent whose resize waits until Hetzner has a server. */
async function waitingResize(): Promise<string> {
  await order(at, 'a1');
  await succeed(at, (await claim(at)).claim, { kind: 'running', outputs: OUTPUTS });
  const { operation_id: id } = await ask(at, 'a1', 'resize', { plan: 'pro' });
  expect(await sellOut((await claim(at)).claim)).toBe('queued');
  return id;
}

const unfinished = async () =>
  (await listOperations(at, 'a1'))
    .filter(({ status }) => status === 'queued' || status === 'active')
    .map(({ kind }) => kind);
const linesOf = async (id: string) => {
  const events = await at.database
    .selectFrom('operation_events')
    .select('data')
    .where('operation_id', '=', id)
    .where('type', '=', 'log')
    .execute();
  return events.map(({ data }) => data.line);
};

test('a hold suspends at once although a resize waits for stock, and the resize says so', async () => {
  const resize = await waitingResize();
  expect(await hold(at, 'a1')).toMatchObject({ kind: 'suspend', status: 'queued' });
  expect(await unfinished()).toEqual(['suspend']);
  expect(await operation(at, resize)).toMatchObject({ status: 'cancelled' });
  expect(await linesOf(resize)).toContain('The resize only waited: a suspend has overtaken it');
  expect((await claim(at)).row.kind).toBe('suspend');
});

test('a hold that comes while a resize is tried is followed as soon as the resize only waits', async () => {
  await order(at, 'a1');
  await succeed(at, (await claim(at)).claim, { kind: 'running', outputs: OUTPUTS });
  await ask(at, 'a1', 'resize', { plan: 'pro' });
  const { claim: mine } = await claim(at);
  expect(await hold(at, 'a1')).toBeUndefined();
  await sellOut(mine);
  expect(await unfinished()).toEqual(['suspend']);
});

test('a suspension for want of payment is left to its loop, which finds nothing in its way', async () => {
  const resize = await waitingResize();
  await at.database
    .insertInto('holds')
    .values({ agent_id: 'a1', reason: 'payment', since: new Date(), by_whom: 'billing' })
    .execute();
  expect(await followAllHolds(at)).toBe(1);
  expect(await unfinished()).toEqual(['suspend']);
  expect(await operation(at, resize)).toMatchObject({ status: 'cancelled' });
});

describe('while a breaker holds suspensions back', () => {
  const clock = { now: () => new Date() };
  const follow = () => followAllHolds({ ...at, request: throughBreakers(clock) });
  const breaker = (columns: { limit_count: number; tripped_at?: null; cause?: null; approved_at?: null }) =>
    at.database.updateTable('breakers').set(columns).where('name', '=', 'suspensions').execute();
  beforeEach(() => breaker({ limit_count: 0 }));
  afterEach(() => breaker({ limit_count: 1000, tripped_at: null, cause: null, approved_at: null }));

  test('a resize waits on, and gives way once a person lets the suspension go', async () => {
    const resize = await waitingResize();
    await at.database
      .insertInto('holds')
      .values({ agent_id: 'a1', reason: 'payment', since: new Date(), by_whom: 'billing' })
      .execute();
    expect(await follow()).toBe(0);
    expect(await unfinished()).toEqual(['resize']);
    const held = await at.database.selectFrom('held_changes').select(['kind', 'breaker']).execute();
    expect(held).toEqual([{ kind: 'suspend', breaker: 'suspensions' }]);
    const approval = { name: 'suspensions', actor: 'operator', at: clock.now() } as const;
    await at.database.transaction().execute((trx) => approveBreaker(trx, approval));
    expect(await releaseHeld({ ...at, clock })).toBe(1);
    expect(await unfinished()).toEqual(['suspend']);
    expect(await operation(at, resize)).toMatchObject({ status: 'cancelled' });
    expect(await linesOf(resize)).toContain('The resize only waited: a suspend has overtaken it');
  });
});

test('a person’s request overtakes a resize that waits; the same one again is refused', async () => {
  const resize = await waitingResize();
  await expect(ask(at, 'a1', 'resize', { plan: 'pro' })).rejects.toThrow(ConflictError);
  await ask(at, 'a1', 'resize', { plan: 'max' });
  expect(await operation(at, resize)).toMatchObject({ status: 'cancelled' });
  await sellOut((await claim(at)).claim);
  await ask(at, 'a1', 'restart');
  expect(await unfinished()).toEqual(['restart']);
  expect((await claim(at)).row.kind).toBe('restart');
  expect(await getAgent(at.database, 'a1')).toMatchObject({ status: 'running', plan: 'starter' });
});

test('a retry overtakes it too, and a refresh passes it by', async () => {
  await waitingResize();
  await ask(at, 'a1', 'refresh');
  const { row, claim: mine } = await claim(at);
  expect(row.kind).toBe('refresh');
  await succeed(at, mine, { kind: 'none' });
  expect(await unfinished()).toEqual(['resize']);
  const first = await ask(at, 'a1', 'restart');
  await at.database.transaction().execute(async (trx) => {
    const [waited] = (await listOperations(at, 'a1')).filter(({ kind }) => kind === 'resize');
    await expect(
      retryOperation(trx, at.queue, { operationId: waited!.operation_id, actor: 'test' }),
    ).rejects.toThrow(first.operation_id);
  });
});

test('nothing that the service itself wants overtakes what waits', async () => {
  await waitingResize();
  const automatic = { agentId: 'a1', kind: 'restart', actor: 'service', cause: 'It wants it.' };
  await expect(
    at.database.transaction().execute((trx) => requestOperation(trx, at.queue, automatic)),
  ).rejects.toThrow(ConflictError);
  expect(await unfinished()).toEqual(['resize']);
});

test('a provision that waits for stock is not lost when a hold comes', async () => {
  await order(at, 'a1');
  await sellOut((await claim(at)).claim);
  expect(await hold(at, 'a1')).toBeUndefined();
  expect(await unfinished()).toEqual(['provision']);
});
