import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  approveProposal,
  listProposals,
  proposableKinds,
  propose,
  rejectProposal,
} from '../../src/operations/proposals.ts';
import { startService, type TestService } from '../support/http-service.ts';
import { finishProvision } from '../support/operation-progress.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
  for (const agentId of ['p1', 'p2']) await running(agentId);
});
afterAll(() => service.stop());

async function running(agentId: string): Promise<void> {
  const response = await service.ask('/api/agents', { json: { agentId, userId: 'u', region: 'eu-west' } });
  await finishProvision(
    service.database,
    (await response.json()) as { agentId: string; operationId: string },
  );
}

const create = (agentId: string, kind = 'destroy') =>
  service.database
    .transaction()
    .execute((trx) => propose(trx, { agentId, kind, reason: 'why', actor: 'operator via mcp' }));
const approve = (proposalId: string) =>
  service.database
    .transaction()
    .execute((trx) => approveProposal(trx, service.deps.queue, { proposalId, actor: 'eve' }));
const reject = (proposalId: string) =>
  service.database.transaction().execute((trx) => rejectProposal(trx, { proposalId, actor: 'eve' }));
const expire = (proposalId: string) =>
  sql`update proposals set proposed_at = now() - interval '2 days', expires_at = now() - interval '1 second'
    where proposal_id = ${proposalId}`.execute(service.database);

test('what loses data or takes an agent from its customer can be proposed', () => {
  expect(proposableKinds()).toEqual(['stop', 'rebuild', 'hibernate', 'destroy']);
});

test('one that has expired is neither approved nor shown, and can be made again', async () => {
  const { proposal_id: first } = await create('p1');
  await expect(create('p1')).rejects.toThrow('is proposed already');
  await expire(first);
  await expect(approve(first)).rejects.toThrow('has expired');
  expect(await listProposals(service.database, { onlyOpen: true, limit: 10 })).toEqual([]);
  const { proposal_id: second } = await create('p1');
  await expect(approve(first)).rejects.toThrow('There is no proposal');
  await reject(second);
  await expect(reject(second)).rejects.toThrow('already rejected');
  await expect(approve(second)).rejects.toThrow('already rejected');
  const { items } = (await (await service.ask('/api/agents/p1/operations')).json()) as { items: object[] };
  expect(items).toHaveLength(1);
});

test('what is not possible is not proposed, and not approved once it is not possible any more', async () => {
  await expect(create('p2', 'hibernate')).rejects.toThrow('is running');
  await expect(create('nobody')).rejects.toThrow('There is no agent nobody');
  const { proposal_id: proposalId } = await create('p2');
  await service.ask('/api/agents/p2', { method: 'PATCH', json: { protected: true } });
  await expect(approve(proposalId)).rejects.toThrow('protected');
  // It stays open: the person may lift the protection and approve it.
  expect(await listProposals(service.database, { onlyOpen: true, limit: 10 })).toMatchObject([
    { proposal_id: proposalId, decision: null },
  ]);
});

test('an agent that has changed since is not what was proposed: nothing is approved, and the page says it', async () => {
  await running('p5');
  const { proposal_id: proposalId } = await create('p5');
  await sql`update agents set status = 'stopped' where agent_id = 'p5'`.execute(service.database);
  await expect(approve(proposalId)).rejects.toThrow('was running when this was proposed and is stopped now');
  const page = await (await service.ask('/attention')).text();
  expect(page).toContain('The agent was running when this was proposed, and is stopped now.');
  expect(page).not.toContain(`/attention/proposals/${proposalId}/approve`);
  await sql`update agents set status = 'running' where agent_id = 'p5'`.execute(service.database);
  expect((await approve(proposalId)).kind).toBe('destroy');
});

test('of two approvals at once one counts', async () => {
  await running('p3');
  const { proposal_id: proposalId } = await create('p3');
  const results = await Promise.allSettled([approve(proposalId), approve(proposalId), reject(proposalId)]);
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

test('a hundred wait for a person, and no more are taken', async () => {
  await running('p4');
  await sql`insert into agents (agent_id, user_id, region, location, plan)
    select 'many-' || n, 'u', 'eu-west', 'fsn1', 'starter' from generate_series(1, 120) n`.execute(
    service.database,
  );
  await sql`insert into proposals (agent_id, kind, agent_status, reason, proposed_by, expires_at)
    select 'many-' || n, 'destroy', 'requested', 'r', 'x', now() + interval '1 hour' from generate_series(1, 100) n`.execute(
    service.database,
  );
  await expect(create('p4')).rejects.toThrow('100 proposals wait');
});
