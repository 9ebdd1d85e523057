import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startService, type TestService } from '../support/http-service.ts';
import { finishProvision } from '../support/operation-progress.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

let made = 0;
async function running(): Promise<string> {
  made += 1;
  const agentId = `ada-${made}`;
  const response = await service.ask('/api/agents', { json: { agentId, userId: 'u', region: 'eu-west' } });
  const { operationId } = (await response.json()) as { operationId: string };
  await finishProvision(service.database, { agentId, operationId });
  return agentId;
}

type Ending = 'succeeded' | 'failed' | 'cancelled' | 'queued';

/** @returns the operation's id */
async function operation(agentId: string, kind: string, status: Ending, asksAgain = false): Promise<string> {
  const { rows } = await sql<{ id: string }>`
    insert into operations (agent_id, kind, status, executor, error, finished_at, asks_again)
    values (${agentId}, ${kind}, ${status}, 'local', ${status === 'failed' ? 'It failed' : null},
      ${status === 'queued' ? null : sql`now()`}, ${asksAgain}) returning operation_id as id`.execute(
    service.database,
  );
  return rows[0]!.id;
}

const page = async (agentId: string) => (await service.ask(`/agents/${agentId}`)).text();
const retry = (agentId: string, fields: Record<string, string>) =>
  service.ask(`/agents/${agentId}/retry`, { method: 'POST', body: new URLSearchParams(fields) });
const statusOf = async (operationId: string) =>
  (
    await service.database
      .selectFrom('operations')
      .select('status')
      .where('operation_id', '=', operationId)
      .executeTakeFirstOrThrow()
  ).status;

test('the button names the kind and retries exactly that operation', async () => {
  const agentId = await running();
  const operationId = await operation(agentId, 'restart', 'failed');
  const markup = await page(agentId);
  expect(markup).toContain(`>Retry restart<span class="visually-hidden"> of ${agentId}</span></button>`);
  expect(markup).toContain(`<input type="hidden" name="operationId" value="${operationId}">`);
  expect((await retry(agentId, {})).status).toBe(400);
  expect((await retry(agentId, { operationId })).status).toBe(303);
  expect(await statusOf(operationId)).toBe('queued');
});

test('a page that is out of date retries nothing else', async () => {
  const agentId = await running();
  const seen = await operation(agentId, 'restart', 'failed');
  const later = await operation(agentId, 'stop', 'failed');
  expect((await retry(agentId, { operationId: seen })).status).toBe(409);
  expect([await statusOf(seen), await statusOf(later)]).toEqual(['failed', 'failed']);
});

test.each<[what: string, kind: string, status: Ending]>([
  ['was cancelled', 'restart', 'cancelled'],
  ['was a rebuild, which loses the disk', 'rebuild', 'failed'],
  ['was a rebuild that was cancelled', 'rebuild', 'cancelled'],
  ['was a suspension', 'suspend', 'failed'],
])('nothing is retried with one click if the newest operation %s', async (_what, kind, status) => {
  const agentId = await running();
  const operationId = await operation(agentId, kind, status);
  expect(await page(agentId)).not.toContain(`/agents/${agentId}/retry`);
  expect((await retry(agentId, { operationId })).status).toBe(409);
  expect(await (await service.ask(`/bulk?kind=retry&agentId=${agentId}`)).text()).toContain(
    'Retry 0 agents?',
  );
  expect(await statusOf(operationId)).toBe(status);
});

test('an older failure is not retried once a newer operation has succeeded', async () => {
  const agentId = await running();
  const operationId = await operation(agentId, 'stop', 'failed');
  await operation(agentId, 'refresh', 'succeeded');
  expect(await page(agentId)).not.toContain(`/agents/${agentId}/retry`);
  expect((await retry(agentId, { operationId })).status).toBe(409);
});

test('a destroy that the service has withdrawn is offered no retry, which would be refused', async () => {
  const agentId = await running();
  await operation(agentId, 'destroy', 'failed', true);
  expect(await page(agentId)).not.toContain(`/agents/${agentId}/retry`);
});

test('a destroy that has failed half-way is hastened: the one that waits is due now', async () => {
  const agentId = await running();
  const failed = await operation(agentId, 'destroy', 'failed');
  await sql`update agents set status = 'destroying' where agent_id = ${agentId}`.execute(service.database);
  expect(await page(agentId)).not.toContain(`/agents/${agentId}/retry`);
  const successor = await operation(agentId, 'destroy', 'queued');
  await sql`update operations set run_after = now() + interval '1 hour' where operation_id = ${successor}`.execute(
    service.database,
  );
  expect(await page(agentId)).toContain('>Retry destroy<');
  expect((await retry(agentId, { operationId: failed })).status).toBe(303);
  const { rows } = await sql<{ due: boolean }>`
    select run_after <= now() as due from operations where operation_id = ${successor}`.execute(
    service.database,
  );
  expect(rows).toEqual([{ due: true }]);
});
