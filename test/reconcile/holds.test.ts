import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { placeHold, releaseHold } from '../../src/agents/holds.ts';
import type { HoldReason } from '../../src/database/vocabulary.ts';
import { RetryableError } from '../../src/errors.ts';
import { queueHoldChange } from '../../src/operations/follow-holds.ts';
import { settleFailure, succeed } from '../../src/operations/settle.ts';
import { followAllHolds, startFollowingHolds } from '../../src/reconcile/holds.ts';
import { eventually } from '../support/eventually.ts';
import { toServerId } from '../support/operation-progress.ts';
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

let addresses = 0;
async function running(agentId: string): Promise<void> {
  await order(at, agentId);
  const { claim: mine } = await claim(at);
  addresses += 1;
  const outputs = { ...OUTPUTS, serverId: toServerId(agentId), tailnetIp: `100.64.3.${addresses}` };
  await succeed(at, mine, { kind: 'running', outputs });
}

/** Places a hold, and lets nobody follow it. */
const place = (agentId: string, reason: HoldReason = 'payment') =>
  at.database
    .transaction()
    .execute((trx) => placeHold(trx, { agentId, reason, by: 'stripe', at: new Date() }));
const release = (agentId: string, reason: HoldReason = 'payment') =>
  at.database.transaction().execute((trx) => releaseHold(trx, { agentId, reason, by: 'stripe' }));
const newest = async (agentId: string) => {
  const row = (await listOperations(at, agentId)).at(-1);
  return `${row?.kind} ${row?.status}`;
};
async function finish(effect: string): Promise<void> {
  const { claim: mine } = await claim(at);
  await succeed(at, mine, { kind: effect });
}

test('finds each agent that is out of line, and no other; a second look changes nothing', async () => {
  for (const agentId of ['free', 'held', 'stopped', 'released', 'disputed', 'busy']) await running(agentId);
  await ask(at, 'stopped', 'stop');
  await finish('stopped');
  await place('released');
  expect(await followAllHolds(at)).toBe(1);
  await finish('suspended');
  await release('released');
  await place('held');
  await place('stopped', 'abuse');
  await place('disputed', 'dispute');
  await ask(at, 'busy', 'restart');
  await place('busy');
  expect(await followAllHolds(at)).toBe(3);
  expect(await newest('held')).toBe('suspend queued');
  expect(await newest('stopped')).toBe('suspend queued');
  expect(await newest('released')).toBe('resume queued');
  expect(await newest('busy')).toBe('restart queued');
  expect(await newest('free')).toBe('provision succeeded');
  expect(await newest('disputed')).toBe('provision succeeded');
  expect(await followAllHolds(at)).toBe(0);
});

test('a resume that failed for good is queued again after a pause', async () => {
  await running('a1');
  await place('a1');
  await followAllHolds(at);
  await finish('suspended');
  await release('a1');
  await followAllHolds(at);
  for (let tries = 0; tries < 3; tries += 1) {
    await waitOver(at);
    const { claim: mine } = await claim(at);
    await settleFailure(at, mine, { error: new RetryableError('500'), step: 'verifying' });
  }
  expect(await newest('a1')).toBe('resume failed');
  expect(await followAllHolds(at)).toBe(0);
  const before = new Date(Date.now() - 601_000);
  await at.database
    .updateTable('operations')
    .set({ finished_at: before })
    .where('kind', '=', 'resume')
    .execute();
  expect(await followAllHolds(at)).toBe(1);
});

test.each(['suspend', 'resume'] as const)(
  'after a %s that failed, the server may be on or off: the opposite follows if the holds demand it',
  async (kind) => {
    await running('a1');
    await place('a1');
    await followAllHolds(at);
    if (kind === 'resume') {
      await finish('suspended');
      await release('a1');
      await followAllHolds(at);
    }
    for (let tries = 0; tries < 3; tries += 1) {
      await waitOver(at);
      const { claim: mine } = await claim(at);
      await settleFailure(at, mine, { error: new RetryableError('500'), step: 'verifying' });
    }
    await (kind === 'suspend' ? release('a1') : place('a1'));
    expect(await followAllHolds(at)).toBe(1);
    expect(await newest('a1')).toBe(kind === 'suspend' ? 'resume queued' : 'suspend queued');
  },
);

test('what a request keeps waiting is asked for again with every look', async () => {
  await running('a1');
  await place('a1');
  let isOpen = false;
  const request: typeof queueHoldChange = async (trx, queue, change) =>
    isOpen ? queueHoldChange(trx, queue, change) : undefined;
  expect(await followAllHolds({ ...at, request })).toBe(0);
  expect(await newest('a1')).toBe('provision succeeded');
  isOpen = true;
  expect(await followAllHolds({ ...at, request })).toBe(1);
});

test('the loop looks regularly until it is stopped', async () => {
  await running('a1');
  const following = startFollowingHolds(at, 0.05);
  await place('a1');
  const isQueued = async () => (await newest('a1')) === 'suspend queued';
  await eventually('the suspend', isQueued, { withinSeconds: 10 });
  await following.stop();
  expect(at.logged).toContainEqual(
    expect.objectContaining({ event: 'holds.followed', agentId: 'a1', kind: 'suspend' }),
  );
});
