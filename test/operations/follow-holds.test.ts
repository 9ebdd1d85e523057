import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { recordSnapshot } from '../../src/agents/hibernation.ts';
import { placeHold } from '../../src/agents/holds.ts';
import { AGENT_STATUSES, type AgentStatus } from '../../src/agents/states.ts';
import { getAgent } from '../../src/agents/store.ts';
import type { Transaction } from '../../src/database/connect.ts';
import { PermanentError, RetryableError } from '../../src/errors.ts';
import type { AgentEffect } from '../../src/operations/attempt.ts';
import { cancelOperation } from '../../src/operations/cancel.ts';
import { decideChange } from '../../src/operations/follow-holds.ts';
import { requestHold, requestRelease } from '../../src/operations/hold-requests.ts';
import { retryOperation } from '../../src/operations/retry.ts';
import { handBack, settleFailure, succeed } from '../../src/operations/settle.ts';
import { follow, hold, release } from '../support/holds.ts';
import {
  ask,
  claim,
  listOperations,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  operation,
  order,
  waitOver,
} from '../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(() => at.empty());

const failed = (kind: string) => ({ kind, hasSucceeded: false });
const succeeded = (kind: string) => ({ kind, hasSucceeded: true });

describe('what an agent needs', () => {
  const TABLE: [AgentStatus, 'suspend' | undefined, 'resume' | 'wake' | undefined][] = [
    ['requested', undefined, undefined],
    ['provisioning', undefined, undefined],
    ['running', 'suspend', undefined],
    ['stopping', undefined, undefined],
    ['stopped', 'suspend', undefined],
    ['suspended', undefined, 'resume'],
    ['hibernated', undefined, 'wake'],
    ['failed', undefined, undefined],
    ['destroying', undefined, undefined],
    ['destroyed', undefined, undefined],
  ];
  test('the table has every status', () => {
    expect(TABLE.map(([status]) => status)).toEqual(AGENT_STATUSES);
  });

  test('docs/states.md shows the same table', () => {
    const page = readFileSync(new URL('../../docs/states.md', import.meta.url), 'utf8');
    const [, holds] = page.split('## Holds') as [string, string];
    const rows = [...holds.matchAll(/^\| is `(\w+)` +\| (.+?) +\| (.+?) +\|$/gm)];
    const read = (cell: string) => /^`(\w+)`/.exec(cell)?.[1];
    expect(rows.map(([, status, held, free]) => [status, read(held!), read(free!)])).toEqual(
      TABLE.filter(([, held, free]) => held !== undefined || free !== undefined),
    );
  });

  test.each(TABLE)('%s: %s if held, %s if not', (status, held, free) => {
    for (const last of [undefined, succeeded('suspend'), succeeded('resume'), failed('stop')]) {
      expect(decideChange(status, { isHeld: true, last })).toBe(held);
      expect(decideChange(status, { isHeld: false, last })).toBe(free);
    }
  });

  test.each(['suspend', 'resume', 'rebuild'])(
    'a held, suspended agent whose %s failed may be on: it is switched off again',
    (kind) => {
      expect(decideChange('suspended', { isHeld: true, last: failed(kind) })).toBe('suspend');
    },
  );

  test('a held, hibernated agent whose wake failed may have a server: it is hibernated again', () => {
    expect(decideChange('hibernated', { isHeld: true, last: failed('wake') })).toBe('hibernate');
    expect(decideChange('hibernated', { isHeld: true, last: failed('hibernate') })).toBeUndefined();
    expect(decideChange('hibernated', { isHeld: false, last: failed('wake') })).toBe('wake');
  });

  test.each([
    ['suspend', 'resume'],
    ['resume', 'resume'],
    ['restart', undefined],
    ['stop', undefined],
  ] as const)('a running agent without holds whose %s failed: %s', (kind, change) => {
    expect(decideChange('running', { isHeld: false, last: failed(kind) })).toBe(change);
    expect(decideChange('stopped', { isHeld: false, last: failed(kind) })).toBeUndefined();
  });
});

const error = new RetryableError('Hetzner answered 500');
const agent = () => getAgent(at.database, 'a1');
const unfinished = async () =>
  (await listOperations(at, 'a1'))
    .filter(({ status }) => status === 'queued' || status === 'active')
    .map(({ kind }) => kind);

/** Claims the next operation, which must be of this kind, and succeeds. */
async function finish(kind: string, effect: AgentEffect): Promise<void> {
  const { row, claim: mine } = await claim(at);
  expect(row.kind).toBe(kind);
  await succeed(at, mine, effect);
}

/** Fails every try of the next operation. */
async function failForGood(kind: string, step = 'stopping_server'): Promise<string> {
  for (;;) {
    const { row, claim: mine } = await claim(at);
    expect(row.kind).toBe(kind);
    if ((await settleFailure(at, mine, { error, step })) !== 'queued') return mine.operationId;
    await waitOver(at);
  }
}

async function running(): Promise<void> {
  await order(at, 'a1');
  await finish('provision', { kind: 'running', outputs: OUTPUTS });
}

async function suspended(): Promise<void> {
  await running();
  await hold(at, 'a1');
  await finish('suspend', { kind: 'suspended' });
}

test('a hold suspends, its release resumes, and doing either twice changes nothing', async () => {
  await running();
  const suspend = await hold(at, 'a1');
  expect(suspend).toMatchObject({ kind: 'suspend', status: 'queued' });
  expect((await hold(at, 'a1'))?.operation_id).toBe(suspend?.operation_id);
  expect((await follow(at, 'a1'))?.operation_id).toBe(suspend?.operation_id);
  await finish('suspend', { kind: 'suspended' });
  expect(await agent()).toMatchObject({ status: 'suspended', health: 'unknown', server_id: '1' });
  expect(await follow(at, 'a1')).toBeUndefined();
  await release(at, 'a1');
  await finish('resume', { kind: 'resumed' });
  expect(await agent()).toMatchObject({ status: 'running', health: 'healthy' });
  expect(await follow(at, 'a1')).toBeUndefined();
  const kinds = (await listOperations(at, 'a1')).map(({ kind }) => kind);
  expect(kinds).toEqual(['provision', 'suspend', 'resume']);
});

test('an agent runs only with no hold at all; a dispute alone switches nothing off', async () => {
  await suspended();
  await hold(at, 'a1', 'payment');
  expect(await release(at, 'a1', 'abuse')).toBeUndefined();
  expect((await agent()).status).toBe('suspended');
  await hold(at, 'a1', 'dispute');
  expect(await release(at, 'a1', 'payment')).toMatchObject({ kind: 'resume' });
  await finish('resume', { kind: 'resumed' });
  expect(await unfinished()).toEqual([]);
});

test('a hold waits for a provision, and a stopped agent is suspended too', async () => {
  await order(at, 'a1');
  expect(await hold(at, 'a1')).toBeUndefined();
  await finish('provision', { kind: 'running', outputs: OUTPUTS });
  expect(await unfinished()).toEqual(['suspend']);
  await release(at, 'a1');
  expect(await unfinished()).toEqual([]);
  await ask(at, 'a1', 'stop');
  await finish('stop', { kind: 'stopped' });
  await hold(at, 'a1');
  await finish('suspend', { kind: 'suspended' });
  expect((await agent()).status).toBe('suspended');
});

test.each(['restart', 'resize', 'rebuild'] as const)('a hold waits until a %s has failed', async (kind) => {
  await running();
  await ask(at, 'a1', kind, kind === 'resize' ? { plan: 'pro' } : undefined);
  const { claim: mine } = await claim(at);
  expect(await hold(at, 'a1')).toBeUndefined();
  const why = { error, step: 'starting_server' };
  expect(await settleFailure(at, mine, why)).toBe('queued');
  expect(await unfinished()).toEqual([kind]);
  await waitOver(at);
  await failForGood(kind);
  expect(await unfinished()).toEqual(['suspend']);
});

test('a cancelled operation makes way for the hold that waited for it', async () => {
  await running();
  const { operation_id: operationId } = await ask(at, 'a1', 'restart');
  await hold(at, 'a1');
  await at.database
    .transaction()
    .execute((trx) => cancelOperation(trx, at.queue, { operationId, actor: 'test' }));
  expect(await unfinished()).toEqual(['suspend']);
});

test('a hold released while a suspend waits ends it; one released while it runs resumes afterwards', async () => {
  await running();
  const first = await hold(at, 'a1');
  expect(await release(at, 'a1')).toBeUndefined();
  expect((await operation(at, first!.operation_id)).status).toBe('cancelled');
  await hold(at, 'a1');
  const { claim: mine } = await claim(at);
  expect(await release(at, 'a1')).toBeUndefined();
  await succeed(at, mine, { kind: 'suspended' });
  await finish('resume', { kind: 'resumed' });
  expect((await agent()).status).toBe('running');
});

test('a hold placed while a resume runs suspends afterwards, whether the resume succeeds or fails', async () => {
  await suspended();
  await release(at, 'a1');
  const { claim: mine } = await claim(at);
  expect(await hold(at, 'a1')).toBeUndefined();
  await succeed(at, mine, { kind: 'resumed' });
  await finish('suspend', { kind: 'suspended' });
  await release(at, 'a1');
  const { claim: again } = await claim(at);
  await hold(at, 'a1');
  // Its server may be on: it is switched off instead of being tried again.
  await settleFailure(at, again, { error, step: 'verifying' });
  expect((await operation(at, again.operationId)).status).toBe('cancelled');
  await finish('suspend', { kind: 'suspended' });
  expect((await agent()).status).toBe('suspended');
});

test('a suspend that a stopping worker hands back ends if its hold was released meanwhile', async () => {
  await running();
  await hold(at, 'a1');
  const { claim: mine } = await claim(at);
  await release(at, 'a1');
  await handBack(at, mine, 'stopping_server');
  expect((await operation(at, mine.operationId)).status).toBe('cancelled');
  expect(await unfinished()).toEqual(['resume']);
});

test('a half-done suspend whose hold is released is followed by a resume of the running agent', async () => {
  await running();
  await hold(at, 'a1');
  const { claim: mine } = await claim(at);
  await settleFailure(at, mine, { error, step: 'refreshing' });
  await release(at, 'a1');
  expect((await operation(at, mine.operationId)).status).toBe('cancelled');
  await finish('resume', { kind: 'resumed' });
  expect(await agent()).toMatchObject({ status: 'running', health: 'healthy', error: null });
  expect(await unfinished()).toEqual([]);
});

test('a resume that failed for good leaves the agent suspended, says why, and waits before the next', async () => {
  await suspended();
  await release(at, 'a1');
  const resume = await failForGood('resume', 'verifying');
  expect(await agent()).toMatchObject({ status: 'suspended', error: 'Hetzner answered 500' });
  expect(await follow(at, 'a1')).toBeUndefined();
  await at.database
    .updateTable('operations')
    .set({ finished_at: new Date(Date.now() - 601_000) })
    .where('operation_id', '=', resume)
    .execute();
  expect(await follow(at, 'a1')).toMatchObject({ kind: 'resume' });
});

test('a person need not wait: asking again, or a retry, is queued at once', async () => {
  await running();
  await hold(at, 'a1');
  const operationId = await failForGood('suspend');
  expect(await agent()).toMatchObject({ status: 'running', error: 'Hetzner answered 500' });
  const retry = () =>
    at.database.transaction().execute((trx) => retryOperation(trx, at.queue, { operationId, actor: 'test' }));
  await retry();
  expect(await unfinished()).toEqual(['suspend']);
  await failForGood('suspend');
  expect(await follow(at, 'a1', { withoutPause: true })).toMatchObject({ kind: 'suspend' });
  await failForGood('suspend');
  await release(at, 'a1');
  await finish('resume', { kind: 'resumed' });
  await expect(retry()).rejects.toThrow('Nothing holds agent a1 any more');
});

test('a suspend cannot be cancelled, because the hold stays', async () => {
  await running();
  const { operation_id: operationId } = (await hold(at, 'a1'))!;
  const cancel = at.database
    .transaction()
    .execute((trx) => cancelOperation(trx, at.queue, { operationId, actor: 'test' }));
  await expect(cancel).rejects.toThrow('A suspend cannot be cancelled');
});

test('a request may keep a change waiting, and learns which holds demand it', async () => {
  await running();
  const asked: unknown[] = [];
  const request = async (_trx: unknown, _queue: unknown, change: unknown) => void asked.push(change);
  await hold(at, 'a1', 'dispute');
  const payment = { agentId: 'a1', reason: 'payment', by: 'stripe', at: new Date() } as const;
  await at.database.transaction().execute((trx) => placeHold(trx, payment));
  expect(await follow(at, 'a1', { request })).toBeUndefined();
  expect(asked).toEqual([{ agentId: 'a1', kind: 'suspend', reasons: ['payment'], actor: 'test' }]);
  expect(await unfinished()).toEqual([]);
});

test('the end of an operation leaves a suspension for want of payment to the loop, and no other change', async () => {
  await order(at, 'a1');
  await hold(at, 'a1', 'payment');
  await finish('provision', { kind: 'running', outputs: OUTPUTS });
  expect(await unfinished()).toEqual([]);
  expect(await follow(at, 'a1')).toMatchObject({ kind: 'suspend' });
  const { claim: mine } = await claim(at);
  await release(at, 'a1', 'payment');
  await succeed(at, mine, { kind: 'suspended' });
  expect(await unfinished()).toEqual(['resume']);
});

test('neither a cancelled operation nor a released hold suspends for want of payment past the loop', async () => {
  await running();
  const { operation_id: operationId } = await ask(at, 'a1', 'restart');
  await hold(at, 'a1', 'payment');
  const inTransaction = <T>(work: (trx: Transaction) => Promise<T>) =>
    at.database.transaction().execute(work);
  await inTransaction((trx) => cancelOperation(trx, at.queue, { operationId, actor: 'test' }));
  expect(await unfinished()).toEqual([]);
  const request = { agentId: 'a1', reason: 'abuse', actor: 'mia' } as const;
  await inTransaction((trx) => requestHold(trx, at.queue, { ...request, at: new Date() }));
  expect(await unfinished()).toEqual(['suspend']);
  const [, , suspend] = await listOperations(at, 'a1');
  await settleFailure(at, (await claim(at)).claim, { error: new PermanentError('no'), step: 'x' });
  expect((await operation(at, suspend!.operation_id)).status).toBe('failed');
  await inTransaction((trx) => requestRelease(trx, at.queue, request));
  expect(await unfinished()).toEqual([]);
});

test.each(['start', 'rebuild'] as const)('a %s of a held agent is refused, naming the hold', async (kind) => {
  await running();
  await ask(at, 'a1', 'stop');
  await finish('stop', { kind: 'stopped' });
  await hold(at, 'a1');
  await expect(ask(at, 'a1', kind)).rejects.toThrow(
    /Agent a1 is held \(abuse since 2027-01-31T10:00:00\.000Z, by test\); a .* once nothing holds it/,
  );
  await finish('suspend', { kind: 'suspended' });
  await expect(ask(at, 'a1', kind)).rejects.toThrow('Agent a1 is held');
  await expect(ask(at, 'a1', 'stop')).rejects.toThrow('Agent a1 is suspended');
});

test('a suspended agent that nothing holds and that cannot resume can be rebuilt; any can be destroyed', async () => {
  await suspended();
  await release(at, 'a1');
  await failForGood('resume', 'starting_server');
  await ask(at, 'a1', 'rebuild');
  await finish('rebuild', { kind: 'rebuilt', outputs: OUTPUTS });
  expect((await agent()).status).toBe('running');
  await hold(at, 'a1');
  await ask(at, 'a1', 'destroy');
  expect(await unfinished()).toEqual(['destroy']);
  await finish('destroy', { kind: 'destroyed' });
  expect(await at.database.selectFrom('holds').selectAll().execute()).toEqual([]);
  expect(await follow(at, 'a1')).toBeUndefined();
});

describe('a hibernate', () => {
  beforeEach(async () => {
    await suspended();
    await ask(at, 'a1', 'hibernate');
  });

  test('that waits is what a held agent needs, and is cancelled for a resume by the release', async () => {
    expect(await follow(at, 'a1')).toMatchObject({ kind: 'hibernate', status: 'queued' });
    expect(await release(at, 'a1')).toMatchObject({ kind: 'resume' });
    expect(await unfinished()).toEqual(['resume']);
  });

  test('at work is asked to end by the release, and a resume follows', async () => {
    const { row, claim: mine } = await claim(at);
    expect(row.kind).toBe('hibernate');
    expect(await hold(at, 'a1')).toMatchObject({ cancel_requested: false });
    expect(await release(at, 'a1')).toBeUndefined();
    expect(await operation(at, row.operation_id)).toMatchObject({ cancel_requested: true });
    expect(await settleFailure(at, mine, { error, step: 'creating_snapshot' })).toBe('cancelled');
    expect(await unfinished()).toEqual(['resume']);
  });

  test('with a recorded snapshot leads to a wake instead, even if it only waits for its next try', async () => {
    const { claim: mine } = await claim(at);
    await at.database.transaction().execute((trx) => recordSnapshot(trx, 'a1', '9'));
    expect(await settleFailure(at, mine, { error, step: 'deleting_server' })).toBe('queued');
    expect(await agent()).toMatchObject({ status: 'suspended' });
    expect(await release(at, 'a1')).toMatchObject({ kind: 'wake' });
    expect(await agent()).toMatchObject({ status: 'hibernated', snapshot_id: '9' });
    expect(await unfinished()).toEqual(['wake']);
  });
});
