import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { findReceipt } from '../../src/agents/receipts.ts';
import { listAudit } from '../../src/audit/listing.ts';
import { sealAudit } from '../../src/audit/seal.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import { PermanentError } from '../../src/errors.ts';
import { Keyring } from '../../src/keys/keyring.ts';
import { listNotices } from '../../src/notices/listing.ts';
import type { AgentEffect } from '../../src/operations/attempt.ts';
import { retryOperation } from '../../src/operations/retry.ts';
import { settleFailure, succeed } from '../../src/operations/settle.ts';
import { Secret } from '../../src/secret.ts';
import {
  ask,
  claim,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  order,
} from '../support/operations-fixture.ts';

const keyring = new Keyring(new Secret('passphrase'));

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  for (const table of ['audit_chain', 'audit_head'] as const) await at.database.deleteFrom(table).execute();
});

/** Runs the next operation to its success. */
async function finish(effect: AgentEffect): Promise<void> {
  await succeed(at, (await claim(at)).claim, effect);
}

async function fail(): Promise<string> {
  const { row, claim: mine } = await claim(at);
  await settleFailure(at, mine, { error: new PermanentError('no server'), step: 'creating_server' });
  return row.operation_id;
}

const RUNNING = { kind: 'running', outputs: OUTPUTS };

/** What was told about the agent, oldest first. */
async function told() {
  const notices = await listNotices(at.database, { agentId: 'a1', limit: 50 });
  return notices.reverse().map(({ type, data }) => ({ type, ...data }));
}

/** What the audit log says about the agent, oldest first. */
async function logged() {
  const rows = await listAudit(at.database, { agentId: 'a1', limit: 200 });
  return rows.reverse().map(({ actor, action }) => `${actor} ${action}`);
}

test('what happens to an agent is told once, and nothing of what a person stops and starts', async () => {
  await order(at, 'a1');
  await finish(RUNNING);
  await ask(at, 'a1', 'stop');
  await finish({ kind: 'stopped' });
  await ask(at, 'a1', 'start');
  await finish({ kind: 'started' });
  await ask(at, 'a1', 'destroy');
  await finish({ kind: 'destroyed' });
  expect(await told()).toEqual([
    { type: 'agent.running', userId: 'u1', status: 'running', recovered: false },
    { type: 'agent.deleted', userId: 'u1', status: 'destroyed' },
  ]);
});

test('a failure is told with its cause, and so is that the agent runs after all', async () => {
  await order(at, 'a1');
  const operationId = await fail();
  await at.database
    .transaction()
    .execute((trx) => retryOperation(trx, at.queue, { operationId, actor: 'test' }));
  await finish(RUNNING);
  expect(await told()).toMatchObject([
    { type: 'agent.failed', error: 'no server' },
    { type: 'agent.running', recovered: true },
  ]);
});

test('every change of an agent is in the audit log: who asked, what it became, how it ended', async () => {
  await order(at, 'a1');
  await fail();
  await finish({ kind: 'rolled-back' });
  await ask(at, 'a1', 'destroy');
  await finish({ kind: 'destroyed' });
  expect(await logged()).toEqual([
    'test agent.create',
    'service agent.became-provisioning',
    'service operation.failed',
    'service agent.became-failed',
    'service agent.rollback',
    'service operation.succeeded',
    'service agent.became-destroying',
    'test agent.destroy',
    'service receipt.issued',
    'service agent.became-destroyed',
    'service operation.succeeded',
  ]);
  while ((await sealAudit(at.database, keyring)) > 0);
  expect(await verifyAudit(at.database, keyring)).toMatchObject({ rows: 11, flaw: null });
});

const EVIDENCE = {
  removed: [
    { cloud: 'hetzner', kind: 'server', id: '1', name: 'agent-a1' },
    { cloud: 'tailscale', kind: 'device', id: 'n1', name: 'agent-a1.tail.ts.net' },
  ],
  attempt: 2,
  unlisted: ['tailscale'],
  gone: { hetzner: '2027-03-01T12:00:00.000Z', tailscale: '2027-03-01T12:00:01.000Z' },
};

async function destroyed(effect: AgentEffect) {
  await order(at, 'a1');
  await finish(RUNNING);
  await ask(at, 'a1', 'destroy');
  await at.database.updateTable('agents').set({ snapshot_id: '9001' }).execute();
  await finish(effect);
  return (await findReceipt(at.database, 'a1'))!;
}

test('a receipt says what there was and when the clouds confirmed its end; the chain holds it', async () => {
  const receipt = await destroyed({ kind: 'destroyed', evidence: EVIDENCE });
  expect(receipt).toMatchObject({
    kind: 'destroy',
    body: {
      agentId: 'a1',
      agent: {
        userId: 'u1',
        serverId: '1',
        snapshotId: '9001',
        tailnetIp: '100.64.0.1',
        stackName: 'agent-a1',
      },
      evidence: EVIDENCE,
    },
    hash: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  await sealAudit(at.database, keyring);
  expect((await verifyAudit(at.database, keyring)).flaw).toBeNull();
  await at.database.updateTable('receipts').set({ kind: 'hibernate' }).execute();
  expect((await verifyAudit(at.database, keyring)).flaw).toBeNull();
  await at.database.deleteFrom('receipts').execute();
  expect((await verifyAudit(at.database, keyring)).flaw).toMatchObject({ kind: 'receipt' });
});

test.each([
  ['none, from a runner of an earlier version', undefined],
  ['none that can be read', { removed: 'everything' }],
  ['of an attempt that cannot be', { ...EVIDENCE, attempt: 0 }],
  ['of a cloud that is none', { ...EVIDENCE, unlisted: ['elsewhere'] }],
  ['more than there may be', { ...EVIDENCE, removed: Array(51).fill(EVIDENCE.removed[0]) }],
])('with evidence %s the agent is gone all the same, and the receipt has none', async (_what, evidence) => {
  const receipt = await destroyed({ kind: 'destroyed', ...(evidence && { evidence }) });
  expect(receipt.body).toMatchObject({ agentId: 'a1', evidence: null });
});
