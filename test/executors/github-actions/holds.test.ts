import { afterAll, beforeAll, expect, test } from 'vitest';
import { getAgent } from '../../../src/agents/store.ts';
import {
  addresses,
  claim,
  dispatched,
  getRow,
  order,
  record,
  startRemoteService,
  tell,
} from '../../support/github-callbacks.ts';
import type { TestService } from '../../support/http-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startRemoteService();
});
afterAll(() => service.stop());

async function running(): Promise<string> {
  const { jobId, agentId } = await order(service);
  await runs(jobId);
  return agentId;
}

/** Plays a runner that begins a job and reports its success. */
async function runs(jobId: string, effect?: string): Promise<void> {
  await begins(jobId);
  if (effect !== undefined) {
    const result = { status: 'succeeded', effect: { kind: effect } };
    expect((await record(service, { job_id: jobId, record: { kind: 'result', result } })).status).toBe(200);
  }
  expect(await succeeds(jobId)).toBe(200);
}

async function begins(jobId: string): Promise<void> {
  await dispatched(service, jobId);
  expect((await claim(service, { job_id: jobId })).status).toBe(200);
}

const succeeds = async (jobId: string) =>
  (await tell(service, { job_id: jobId, status: 'running', ...addresses() })).status;

async function change(agentId: string, verb: 'hold' | 'release'): Promise<string | undefined> {
  const answer = await service.ask(`/api/agents/${agentId}/${verb}`, { json: { reason: 'abuse' } });
  return ((await answer.json()) as { operationId?: string }).operationId;
}
const status = async (agentId: string) => (await getAgent(service.database, agentId)).status;
const newest = (agentId: string) =>
  service.database
    .selectFrom('operations')
    .selectAll()
    .where('agent_id', '=', agentId)
    .orderBy('sequence', 'desc')
    .executeTakeFirstOrThrow();

test.each([
  ['suspended', 'resumed'],
  [undefined, undefined],
])('runners suspend and resume, with the recorded effect %s or only a report', async (suspended, resumed) => {
  const agentId = await running();
  await runs((await change(agentId, 'hold'))!, suspended);
  expect(await status(agentId)).toBe('suspended');
  await runs((await change(agentId, 'release'))!, resumed);
  expect(await getAgent(service.database, agentId)).toMatchObject({ status: 'running', health: 'healthy' });
});

test('a release while a runner suspends is followed by a resume', async () => {
  const agentId = await running();
  const suspend = (await change(agentId, 'hold'))!;
  await begins(suspend);
  expect(await change(agentId, 'release')).toBeUndefined();
  expect(await succeeds(suspend)).toBe(200);
  expect(await newest(agentId)).toMatchObject({ kind: 'resume', status: 'queued' });
});

test('a release before the dispatched runner has begun ends the suspend and its run', async () => {
  const agentId = await running();
  const suspend = (await change(agentId, 'hold'))!;
  await dispatched(service, suspend, '4711');
  // The run may have begun just now, without saying so yet: a resume makes sure that the server is on.
  const resume = (await change(agentId, 'release'))!;
  expect(await getRow(service.database, suspend)).toMatchObject({ status: 'cancelled' });
  expect(await getRow(service.database, resume)).toMatchObject({ kind: 'resume', status: 'queued' });
  const cancelled = await service.database.selectFrom('run_cancellations').selectAll().execute();
  expect(cancelled).toMatchObject([{ workflow_run_id: '4711', operation_id: suspend }]);
  expect((await claim(service, { job_id: suspend })).status).toBe(409);
  expect(await succeeds(suspend)).toBe(409);
  await runs(resume);
  expect(await status(agentId)).toBe('running');
});
