import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { getAgent } from '../../src/agents/store.ts';
import type { Transaction } from '../../src/database/connect.ts';
import { CancelledError, ConflictError, PermanentError, RetryableError } from '../../src/errors.ts';
import { cancelOperation } from '../../src/operations/cancel.ts';
import { retryOperation } from '../../src/operations/retry.ts';
import { runbookFor } from '../../src/operations/runbooks.ts';
import { settleFailure, succeed } from '../../src/operations/settle.ts';
import type { OperationKind } from '../../src/operations/states.ts';
import {
  ask,
  claim,
  listOperations,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  order,
  waitOver,
} from '../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(() => at.empty());

const failed = new RetryableError('Hetzner answered 500');
const agent = () => getAgent(at.database, 'a1');

async function running(): Promise<void> {
  await order(at, 'a1');
  const { claim: mine } = await claim(at);
  await succeed(at, mine, { kind: 'running', outputs: OUTPUTS });
}

async function stopped(): Promise<void> {
  await running();
  await ask(at, 'a1', 'stop');
  const { claim: mine } = await claim(at);
  await succeed(at, mine, { kind: 'stopped' });
}

async function failForGood(error: unknown = failed): Promise<string> {
  for (;;) {
    const { claim: mine } = await claim(at);
    const status = await settleFailure(at, mine, { error, step: 'verifying' });
    if (status !== 'queued') return mine.operationId;
    await waitOver(at);
  }
}

const request = <T>(work: (trx: Transaction) => Promise<T>) => at.database.transaction().execute(work);
const cancel = (operationId: string) =>
  request((trx) => cancelOperation(trx, at.queue, { operationId, actor: 'test' }));
const retry = (operationId: string) =>
  request((trx) => retryOperation(trx, at.queue, { operationId, actor: 'test' }));

test('stop, start, restart, reconfigure, resize and rebuild follow the state table and update the addresses', async () => {
  await running();
  await ask(at, 'a1', 'stop');
  const { claim: stop } = await claim(at);
  expect(await agent()).toMatchObject({ status: 'stopping', health: 'unknown' });
  await succeed(at, stop, { kind: 'stopped' });
  expect(await agent()).toMatchObject({ status: 'stopped', health: 'unknown', tailnet_ip: '100.64.0.1' });

  await ask(at, 'a1', 'start');
  const { claim: start } = await claim(at);
  expect((await agent()).status).toBe('stopped');
  await succeed(at, start, { kind: 'started' });
  expect(await agent()).toMatchObject({ status: 'running', health: 'healthy' });

  await ask(at, 'a1', 'restart');
  const { claim: restart } = await claim(at);
  expect(await agent()).toMatchObject({ status: 'running', health: 'unknown' });
  await succeed(at, restart, { kind: 'restarted' });
  expect(await agent()).toMatchObject({ status: 'running', health: 'healthy' });

  await ask(at, 'a1', 'reconfigure');
  const { claim: reconfigure } = await claim(at);
  expect((await agent()).health).toBe('healthy');
  await succeed(at, reconfigure, { kind: 'reconfigured', outputs: OUTPUTS });

  await expect(ask(at, 'a1', 'resize', { plan: 'starter' })).rejects.toThrow(
    'Agent a1 already has the plan starter',
  );
  await ask(at, 'a1', 'resize', { plan: 'pro' });
  const { claim: resize, row } = await claim(at);
  expect(row.parameters).toEqual({ plan: 'pro' });
  expect(await agent()).toMatchObject({ plan: 'starter', health: 'unknown' });
  await succeed(at, resize, { kind: 'resized', outputs: OUTPUTS, plan: 'pro' });
  expect(await agent()).toMatchObject({ plan: 'pro', status: 'running', health: 'healthy' });

  await ask(at, 'a1', 'rebuild');
  const { claim: rebuild } = await claim(at);
  const outputs = { ...OUTPUTS, tailnetIp: '100.64.0.2' };
  await succeed(at, rebuild, { kind: 'rebuilt', outputs });
  expect(await agent()).toMatchObject({ status: 'running', health: 'healthy', tailnet_ip: '100.64.0.2' });
});

test('a rebuild can start from stopped', async () => {
  await stopped();
  await ask(at, 'a1', 'rebuild');
  const { claim: mine } = await claim(at);
  expect((await agent()).status).toBe('stopped');
  await succeed(at, mine, { kind: 'rebuilt', outputs: OUTPUTS });
  expect(await agent()).toMatchObject({ status: 'running', health: 'healthy' });
});

describe('requests', () => {
  test.each<[string, () => Promise<void>, OperationKind[]]>([
    ['running', running, ['stop', 'restart', 'refresh', 'reconfigure', 'rebuild', 'destroy']],
    ['stopped', stopped, ['start', 'refresh', 'rebuild', 'destroy']],
    ['requested', async () => void (await order(at, 'a1')), ['destroy']],
  ])('while it is %s', async (_, reach, allowed) => {
    const kinds = ['start', 'stop', 'restart', 'refresh', 'reconfigure', 'rebuild', 'destroy'] as const;
    const accepted: string[] = [];
    for (const kind of kinds) {
      await at.empty();
      await reach();
      try {
        await ask(at, 'a1', kind);
        accepted.push(kind);
      } catch (error) {
        expect(error).toBeInstanceOf(ConflictError);
      }
    }
    expect(accepted).toEqual(allowed);
  });

  test('one change of the running state at a time; a refresh may queue beside it', async () => {
    await running();
    const { operation_id } = await ask(at, 'a1', 'restart');
    await expect(ask(at, 'a1', 'stop')).rejects.toThrow(`A restart of agent a1 is already under way`);
    await ask(at, 'a1', 'refresh');
    await cancel(operation_id);
    const stop = await ask(at, 'a1', 'stop');
    await expect(retry(operation_id)).rejects.toThrow(ConflictError);
    expect((await claim(at)).row.kind).toBe('refresh');
    await cancel(stop.operation_id);
    expect((await retry(operation_id)).status).toBe('queued');
  });
});

test('an operation whose agent has changed state meanwhile moves nothing and gives up', async () => {
  await running();
  await ask(at, 'a1', 'stop');
  await at.database.updateTable('agents').set({ status: 'suspended' }).execute();
  const { row, claim: mine } = await claim(at);
  const now = await agent();
  expect(now.status).toBe('suspended');
  const runbooks = { stop: async () => ({ kind: 'stopped' as const }) };
  const begin = () => runbookFor(runbooks, row, now);
  expect(begin).toThrow(PermanentError);
  expect(begin).toThrow('The agent is now suspended: a stop is no longer possible');
  await settleFailure(at, mine, { error: new PermanentError('not possible'), step: 'queued' });
  expect(await agent()).toEqual(now);
  await at.database.updateTable('agents').set({ status: 'stopping' }).execute();
  expect(runbookFor(runbooks, row, await agent())).toBe(runbooks.stop);
});

describe('failure', () => {
  test.each(['restart', 'reconfigure', 'rebuild'] as const)(
    'a failed %s leaves the agent running with the reason, and unhealthy until the next check',
    async (kind) => {
      await running();
      await ask(at, 'a1', kind);
      await failForGood();
      expect(await agent()).toMatchObject({
        status: 'running',
        health: 'unhealthy',
        error: 'Hetzner answered 500',
      });
      expect((await listOperations(at, 'a1')).map((one) => one.kind)).toEqual(['provision', kind]);
    },
  );

  test('a failure before any change leaves the agent’s health alone', async () => {
    await running();
    await ask(at, 'a1', 'rebuild');
    const { claim: mine } = await claim(at);
    await settleFailure(at, mine, { error: new PermanentError('it is protected'), step: 'preparing' });
    expect(await agent()).toMatchObject({
      status: 'running',
      health: 'unknown',
      unhealthy_since: null,
      error: 'it is protected',
    });
  });

  test('a stop stays stopping between tries, and leaves the agent running after the last failure', async () => {
    await running();
    await ask(at, 'a1', 'stop');
    const { claim: mine } = await claim(at);
    await settleFailure(at, mine, { error: failed, step: 'stopping_server' });
    expect((await agent()).status).toBe('stopping');
    await waitOver(at);
    const operationId = await failForGood();
    expect(await agent()).toMatchObject({ status: 'running', health: 'unknown', error: failed.message });
    expect((await retry(operationId)).status).toBe('queued');
    await claim(at);
    expect((await agent()).status).toBe('stopping');
  });

  test('a failed start leaves the agent stopped with the reason', async () => {
    await stopped();
    await ask(at, 'a1', 'start');
    await failForGood();
    expect(await agent()).toMatchObject({ status: 'stopped', health: 'unknown', error: failed.message });
  });

  test('a destroy requested meanwhile is kept', async () => {
    await running();
    await ask(at, 'a1', 'stop');
    const { claim: mine } = await claim(at);
    await ask(at, 'a1', 'destroy');
    const error = new CancelledError('Cancelled');
    expect(await settleFailure(at, mine, { error, step: 'stopping_server' })).toBe('cancelled');
    expect((await agent()).status).toBe('destroying');
  });
});

describe('cancel', () => {
  test('before the first attempt leaves the agent unchanged', async () => {
    await running();
    const before = await agent();
    for (const kind of ['stop', 'restart', 'reconfigure', 'rebuild'] as const) {
      await cancel((await ask(at, 'a1', kind)).operation_id);
      expect(await agent()).toEqual(before);
    }
  });

  test('of a stop between two tries leaves the agent running', async () => {
    await running();
    const { operation_id } = await ask(at, 'a1', 'stop');
    const { claim: mine } = await claim(at);
    await settleFailure(at, mine, { error: failed, step: 'stopping_server' });
    await cancel(operation_id);
    expect(await agent()).toMatchObject({ status: 'running', error: 'The stop was cancelled' });
  });

  test('of an active restart leaves the agent running with unknown health', async () => {
    await running();
    const { operation_id } = await ask(at, 'a1', 'restart');
    const { claim: mine } = await claim(at);
    await cancel(operation_id);
    await settleFailure(at, mine, { error: new CancelledError('Cancelled'), step: 'verifying' });
    expect(await agent()).toMatchObject({
      status: 'running',
      health: 'unknown',
      error: 'The restart was cancelled',
    });
  });
});
