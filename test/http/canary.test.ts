import { afterAll, beforeAll, expect, test } from 'vitest';
import { startService, type TestService } from '../support/http-service.ts';
import { addPerson } from '../support/people.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

test('the audit log names who begins a canary, and has no entry for one that is refused', async () => {
  const { bearer } = await addPerson(service, 'ada@example.com', 'operator');
  const begin = () => service.ask('/api/canary', { json: { maxEuros: 0.05 }, headers: bearer });
  const answered = await begin();
  expect(answered.status).toBe(202);
  const { agentId } = (await answered.json()) as { agentId: string };
  expect((await begin()).status).toBe(409);
  const rows = await service.database
    .selectFrom('audit_log')
    .select(['actor', 'details'])
    .where('action', '=', 'canary.start')
    .execute();
  expect(rows).toMatchObject([{ actor: 'ada@example.com', details: { agentId, maxEuros: 0.05 } }]);
});
