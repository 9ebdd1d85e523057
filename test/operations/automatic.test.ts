import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { placeHold } from '../../src/agents/holds.ts';
import { getAgent } from '../../src/agents/store.ts';
import { CancelledError, PermanentError, RetryableError } from '../../src/errors.ts';
import { takeDispatch } from '../../src/executors/github-actions/dispatches.ts';
import { passLastCheck } from '../../src/executors/worker/last-check.ts';
import { requestChange } from '../../src/limits/request-change.ts';
import { claimNext } from '../../src/operations/claims.ts';
import { readEvents } from '../../src/operations/events/events.ts';
import { chooseExecutor } from '../../src/operations/executor-choice.ts';
import { insertOperation } from '../../src/operations/requests.ts';
import { retryOperation } from '../../src/operations/retry.ts';
import { settleFailure, succeed } from '../../src/operations/settle.ts';
import { withdrawQueued, withdrawWaitingHarm } from '../../src/operations/withdraw.ts';
import { tellStalled } from '../../src/reconcile/stalled.ts';
import {
  ask,
  claim,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  operation,
  order,
  waitOver,
} from '../support/operations-fixture.ts';
import { stampAsNew } from '../support/stamp.ts';

// Operations that the service itself wants.

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());

const NOW = new Date('2027-01-31T10:00:00Z');

/** a1 runs and is held for want of payment; everything that is known about its subscription was read. */
beforeEach(async () => {
  await at.empty();
  await order(at, 'a1');
  const { claim: mine } = await claim(at);
  await succeed(at, mine, { kind: 'running', outputs: OUTPUTS });
  const hold = { agentId: 'a1', reason: 'payment', by: 'billing', at: NOW } as const;
  await at.database.transaction().execute((trx) => placeHold(trx, hold));
  await sql`insert into subscriptions (subscription_id, agent_id, signals, seen_signals)
    values ('sub_1', 'a1', 1, 1)`.execute(at.database);
});

async function want(kind: string): Promise<string> {
  const outcome = await at.database
    .transaction()
    .execute((trx) =>
      requestChange(trx, at.queue, { agentId: 'a1', kind, cause: 'It is not paid.', at: NOW }),
    );
  if (!('operation' in outcome)) throw new Error(`held by ${outcome.heldBy}`);
  return outcome.operation.operation_id;
}
const signal = () => sql`update subscriptions set signals = signals + 1`.execute(at.database);
const read = () => sql`update subscriptions set seen_signals = signals`.execute(at.database);
const suspended = () =>
  sql`update agents set status = 'suspended' where agent_id = 'a1'`.execute(at.database);
const retry = (operationId: string) =>
  at.database.transaction().execute((trx) => retryOperation(trx, at.queue, { operationId, actor: 'mia' }));
const withdraw = (kind: string) =>
  at.database.transaction().execute((trx) => withdrawQueued(trx, at.queue, 'a1', [kind]));
const ledger = () => at.database.selectFrom('changes').select(['kind', 'operation_id']).execute();

describe('while an event about its payments is unread', () => {
  test.each(['suspend', 'hibernate'])('a %s does not begin', async (kind) => {
    if (kind === 'hibernate') await suspended();
    const operationId = await want(kind);
    await signal();
    expect(await claimNext(at.database, 'w1')).toBeUndefined();
    await read();
    expect((await claim(at)).row.operation_id).toBe(operationId);
  });

  test('none is dispatched to GitHub either', async () => {
    await stampAsNew(at.database);
    await chooseExecutor(at.database, 'github-actions');
    await want('suspend');
    await signal();
    expect(await takeDispatch(at, undefined)).toBeUndefined();
    await read();
    expect(await takeDispatch(at, undefined)).toMatchObject({ operation: { kind: 'suspend' } });
  });

  test('one that has begun goes on, and its log says what another one waits for', async () => {
    const operationId = await want('suspend');
    await signal();
    await sql`update operations set run_after = now() - interval '2 minutes' where operation_id = ${operationId}`.execute(
      at.database,
    );
    await sql`update operations set finished_at = now() - interval '3 minutes' where kind = 'provision'`.execute(
      at.database,
    );
    expect(await tellStalled(at, 60)).toBe(1);
    const log = (await readEvents(at.database, operationId, 0)).filter(({ type }) => type === 'log');
    expect(log).toMatchObject([{ data: { line: expect.stringContaining('waits until Stripe was asked') } }]);
    await read();
    const { claim: mine } = await claim(at);
    await signal();
    await settleFailure(at, mine, { error: new Error('Hetzner answered 500'), step: 'stopping_server' });
    await waitOver(at);
    expect((await claim(at)).row).toMatchObject({ operation_id: operationId, attempt: 2 });
  });

  test('what people want, and what harms nobody, begins', async () => {
    await signal();
    await at.database
      .transaction()
      .execute((trx) => insertOperation(trx, at.queue, { agentId: 'a1', kind: 'suspend' }));
    expect((await claim(at)).row.kind).toBe('suspend');
  });
});

test('a start that does not act on payments cancels what would wait for ever, and nothing else', async () => {
  const waiting = await want('suspend');
  await signal();
  expect(await withdrawWaitingHarm(at.database, at.queue)).toBe(1);
  expect(await operation(at, waiting)).toMatchObject({ status: 'cancelled' });
  expect(await getAgent(at.database, 'a1')).toMatchObject({ status: 'running', health: 'healthy' });
  expect(await withdrawWaitingHarm(at.database, at.queue)).toBe(0);
  // One that has begun may have switched the server off already.
  await read();
  const begun = await want('suspend');
  await settleFailure(at, (await claim(at)).claim, { error: new Error('no'), step: 'stopping_server' });
  expect(await withdrawWaitingHarm(at.database, at.queue)).toBe(0);
  expect(await operation(at, begun)).toMatchObject({ status: 'queued', attempt: 1 });
});

describe('a person’s retry', () => {
  test('makes it the person’s: a later decision does not withdraw it, and the ledger goes on counting it', async () => {
    const operationId = await want('suspend');
    await settleFailure(at, (await claim(at)).claim, { error: new PermanentError('no'), step: 'preparing' });
    expect(await ledger()).toEqual([{ kind: 'suspend', operation_id: operationId }]);
    await retry(operationId);
    await withdraw('suspend');
    expect(await operation(at, operationId)).toMatchObject({ status: 'queued' });
    expect(await ledger()).toEqual([{ kind: 'suspend', operation_id: null }]);
    // Nor does it wait until something about the payments was read.
    await signal();
    expect((await claim(at)).row.operation_id).toBe(operationId);
  });

  test('of a destroy that is no longer wanted is refused', async () => {
    await suspended();
    const operationId = await want('destroy');
    await settleFailure(at, (await claim(at)).claim, { error: new CancelledError('not wanted'), step: 'x' });
    expect(await operation(at, operationId)).toMatchObject({ status: 'cancelled', asks_again: true });
    await expect(retry(operationId)).rejects.toThrow('request it again');
    expect(await operation(at, operationId)).toMatchObject({ status: 'cancelled' });
    expect(await ask(at, 'a1', 'destroy')).toMatchObject({ asks_again: false });
    expect((await getAgent(at.database, 'a1')).status).toBe('destroying');
    // Under way for good: a retry makes the one that waits due now.
    expect(await retry(operationId)).toMatchObject({ kind: 'destroy', status: 'queued' });
  });
});

describe('a person’s destroy while one that the service wants waits for its last check', () => {
  test('goes at once, without the check', async () => {
    await suspended();
    const operationId = await want('destroy');
    await settleFailure(at, (await claim(at)).claim, { error: new RetryableError('silent'), step: 'queued' });
    expect(await ask(at, 'a1', 'destroy')).toMatchObject({ operation_id: operationId, status: 'queued' });
    expect((await getAgent(at.database, 'a1')).status).toBe('destroying');
    expect(await ledger()).toEqual([{ kind: 'destroy', operation_id: null }]);
    const { row, claim: mine } = await claim(at);
    await passLastCheck({ database: at.database }, row, mine);
    await succeed(at, mine, { kind: 'destroyed' });
    expect((await getAgent(at.database, 'a1')).status).toBe('destroyed');
  });

  test.each([
    ['refused', () => Promise.resolve(false)],
    ['not answered', () => Promise.reject(new RetryableError('Stripe is silent'))],
  ])('goes although the check is under way and then %s', async (_name, answer) => {
    await suspended();
    await want('destroy');
    const { row, claim: mine } = await claim(at);
    const isStillWanted = async () => {
      await ask(at, 'a1', 'destroy');
      return answer();
    };
    await passLastCheck({ database: at.database, isStillWanted }, row, mine);
    await succeed(at, mine, { kind: 'destroyed' });
    expect((await getAgent(at.database, 'a1')).status).toBe('destroyed');
  });

  test('is refused once the check has passed', async () => {
    await suspended();
    await want('destroy');
    const { row, claim: mine } = await claim(at);
    await passLastCheck({ database: at.database, isStillWanted: async () => true }, row, mine);
    await expect(ask(at, 'a1', 'destroy')).rejects.toThrow('destroying');
  });
});
