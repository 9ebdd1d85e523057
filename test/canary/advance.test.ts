import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { ACTS } from '../../src/canary/acts.ts';
import { advanceCanary } from '../../src/canary/advance.ts';
import { startCanaries } from '../../src/canary/loop.ts';
import { listRuns, startRun } from '../../src/canary/runs.ts';
import { PermanentError } from '../../src/errors.ts';
import type { AgentEffect } from '../../src/operations/attempt.ts';
import { readProvisionFigures } from '../../src/operations/figures.ts';
import { settleFailure, succeed } from '../../src/operations/settle.ts';
import { listAttention } from '../../src/reconcile/attention.ts';
import {
  claim,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  waitOver,
} from '../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await at.database.deleteFrom('canary_runs').execute();
});

const prices = [{ serverType: 'cx23', location: 'nbg1', perHour: 0.01 }];
const deps = () => ({
  database: at.database,
  queue: at.queue,
  hetzner: { listServerPrices: async () => prices },
  now: () => new Date(),
});
const advance = () => advanceCanary(deps());
const begin = (maxEuros = 0.05) =>
  at.database
    .transaction()
    .execute((trx) => startRun(trx, { cause: 'person', maxEuros, region: 'eu-central', actor: 'ada' }));
const newest = async () => (await listRuns(at.database, 1))[0]!;

const GONE = { removed: [], gone: { hetzner: new Date().toISOString() } };
const EFFECTS: Record<string, AgentEffect> = {
  provision: { kind: 'running', outputs: OUTPUTS },
  stop: { kind: 'stopped' },
  start: { kind: 'started' },
  suspend: { kind: 'suspended' },
  hibernate: { kind: 'hibernated', snapshotId: '7' },
  wake: { kind: 'woken', outputs: OUTPUTS },
  destroy: { kind: 'destroyed', evidence: GONE },
} as never;

/** Carries the agent's next operation out. @returns its kind */
async function complete(): Promise<string> {
  await waitOver(at);
  const { row, claim: mine } = await claim(at);
  await succeed(at, mine, EFFECTS[row.kind]!);
  return row.kind;
}

test('takes an agent through its whole life, act by act, and tells its price', async () => {
  await begin();
  const done: string[] = [];
  for (let act = 0; act < ACTS.length; act += 1) {
    await advance();
    // Another worker's look changes nothing.
    await advance();
    done.push(await complete());
  }
  expect(done).toEqual([...ACTS]);
  await advance();
  expect(await newest()).toMatchObject({ status: 'succeeded', error: null, expected_euros: '0.02' });
  expect((await newest()).steps.map(({ kind, status }) => [kind, status])).toEqual(
    ACTS.map((kind) => [kind, 'succeeded']),
  );
  // It is no customer.
  expect((await readProvisionFigures(at.database)).total.succeeded).toBe(0);
  expect(await at.database.selectFrom('notices').select('type').execute()).toEqual([]);
  expect(await at.database.selectFrom('changes').select('agent_id').execute()).toEqual([]);
  expect(await at.database.selectFrom('pool_misses').selectAll().execute()).toEqual([]);
});

test('makes nothing if it would cost more than allowed, or nobody knows what', async () => {
  await begin(0.019);
  await advance();
  expect(await newest()).toMatchObject({
    status: 'refused',
    error: expect.stringMatching(/would cost 0\.0200 €.*at most 0\.019 € are allowed/),
  });
  expect(await at.database.selectFrom('agents').select('agent_id').execute()).toEqual([]);
  await at.database.deleteFrom('server_prices').execute();
  await begin();
  await advanceCanary({ ...deps(), hetzner: { listServerPrices: async () => [] } });
  expect(await newest()).toMatchObject({ status: 'refused', error: expect.stringContaining('price') });
});

test('a failure is told, and the agent is destroyed nevertheless', async () => {
  const { agent_id: agentId } = await begin();
  await advance();
  await complete();
  await advance();
  await waitOver(at);
  const { claim: mine } = await claim(at);
  await settleFailure(at, mine, { error: new PermanentError('it does not stop'), step: 'stopping' });
  await advance();
  expect(await complete()).toBe('destroy');
  await advance();
  expect(await newest()).toMatchObject({
    status: 'failed',
    error: expect.stringMatching(/^Its stop failed: .*it does not stop/),
  });
  const items = await listAttention(at.database, { limit: 10 });
  expect(items).toMatchObject([{ class: 'configuration', cause: expect.stringContaining(agentId) }]);
});

test('one runs at a time, and a schedule begins the next one when it is due', async () => {
  await begin();
  await expect(begin()).rejects.toThrow('under way already');
  await at.database.deleteFrom('canary_runs').execute();
  const canary = { everyMs: 3_600_000, maxEuros: 0.05, region: 'eu-central' };
  const loop = startCanaries({ ...deps(), canary, log: at.log });
  await expect
    .poll(async () => (await listRuns(at.database, 2)).map(({ cause }) => cause), { timeout: 20_000 })
    .toEqual(['schedule']);
  await loop.stop();
});
