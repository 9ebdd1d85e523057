import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase as createConnection, createPool } from '../../src/database/connect.ts';
import { signBody } from '../../src/executors/github-actions/callback-signature.ts';
import { Secret } from '../../src/secret.ts';
import {
  ADDRESSES,
  addresses,
  CALLBACK_SECRET,
  dispatched,
  getRow,
  order,
  startRemoteService,
  tell,
} from '../support/github-callbacks.ts';
import { startService, type TestService } from '../support/http-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startRemoteService();
});
afterAll(() => service.stop());

const fetchJob = async (jobId: string) =>
  (await service.ask(`/api/operations/${jobId}`)).json() as Promise<Record<string, unknown>>;
const fetchAgent = async (agentId: string) =>
  (await service.ask(`/api/agents/${agentId}`)).json() as Promise<Record<string, unknown>>;

/** Asserts that a repeat changes nothing. */
const unchanged = async (jobId: string, work: () => Promise<unknown>) => {
  const before = await getRow(service.database, jobId);
  await work();
  expect(await getRow(service.database, jobId)).toEqual(before);
};

describe('the signature', () => {
  it.each([
    ['missing', null],
    ['empty', ''],
    ['wrong', '0'.repeat(64)],
    ['of another secret', signBody(new Secret('another'), '{"job_id":"x"}')],
    ['of another length', 'abcdef'],
    ['no hex', 'z'.repeat(64)],
    ['with a prefix', `sha256=${'0'.repeat(64)}`],
  ])('%s → 401, and nothing is read', async (_, sign) => {
    const answer = await tell(service, '{"job_id":"x"}', { sign });
    expect(answer).toEqual({ status: 401, body: { error: 'Invalid signature' } });
    expect((await tell(service, 'not json at all', { sign })).status).toBe(401);
  });

  it('given twice → 401', async () => {
    const body = '{"job_id":"x"}';
    const signature = signBody(CALLBACK_SECRET, body);
    const answer = await tell(service, body, { sign: `${signature}, ${signature}` });
    expect(answer.status).toBe(401);
  });

  it('covers the sent bytes: spaces, unicode and unknown fields keep it valid', async () => {
    const { jobId } = await order(service);
    const body = `  {\n "status" : "provisioning" , "job_id": "${jobId}", "schritt": "Gerät 😀", "deep": {"a": [1, null]} }\n`;
    expect(await tell(service, body)).toEqual({ status: 200, body: { received: true } });
    expect((await getRow(service.database, jobId)).status).toBe('active');
  });

  it('is checked before the size: a signed body that is too large is 413, any other 401', async () => {
    const body = JSON.stringify({ job_id: 'x', padding: 'x'.repeat(1_100_000) });
    expect((await tell(service, body)).status).toBe(413);
    expect((await tell(service, body, { sign: '0'.repeat(64) })).status).toBe(401);
  });

  it('is refused if no secret is configured', async () => {
    const bare = await startService();
    try {
      expect((await tell(bare, '{}', { sign: signBody(new Secret(''), '{}') })).status).toBe(401);
    } finally {
      await bare.stop();
    }
  });
});

it('while the database is away a callback is answered 503, so that the runner repeats it', async () => {
  const nowhere = createConnection(createPool(new Secret('postgres://127.0.0.1:1/nowhere'), 1, 'test'));
  const away = await startService({ remote: service.deps.remote, database: nowhere });
  try {
    const message = { job_id: '00000000-0000-4000-8000-000000000000', type: 'heartbeat' };
    expect(await tell(away, message)).toMatchObject({
      status: 503,
      body: { error: expect.stringMatching(/database is unavailable/) },
    });
    expect((await tell(away, message, { sign: null })).status).toBe(401);
  } finally {
    await away.stop();
  }
});

describe('signed but invalid', () => {
  it.each([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['a null', 'null'],
    ['no job', '{"status":"provisioning"}'],
    ['an empty job', '{"job_id":"","status":"provisioning"}'],
    ['a job that is a number', '{"job_id":7,"status":"provisioning"}'],
    ['neither status nor type', '{"job_id":"x"}'],
    ['an unknown status', '{"job_id":"x","status":"done"}'],
    ['an unknown type', '{"job_id":"x","type":"pulse"}'],
    ['a server’s address that is none', '{"job_id":"x","status":"running","server_ip":"1.2.3"}'],
    ['a tailnet address that is none', '{"job_id":"x","status":"running","tailscale_ip":"fd7a"}'],
    ['a step that is a number', '{"job_id":"x","status":"provisioning","step":3}'],
    ['a run id beyond all numbers', '{"job_id":"x","type":"heartbeat","workflow_run_id":1e300}'],
  ])('%s → 400', async (_, body) => {
    const answer = await tell(service, body);
    expect(answer).toMatchObject({ status: 400, body: { error: expect.any(String) } });
  });

  it.each(['x', '00000000-0000-4000-8000-000000000000'])('an unknown job (%s) → 404', async (jobId) => {
    const answer = await tell(service, { job_id: jobId, type: 'heartbeat' });
    expect(answer).toMatchObject({ status: 404, body: { error: expect.any(String) } });
  });

  it('another method → 405', async () => {
    const answer = await fetch(`${service.url}/api/webhooks/github`);
    expect(answer.status).toBe(405);
  });
});

describe('a client written only from the contract', () => {
  it('takes an undispatched job to a running agent', async () => {
    const { jobId, agentId } = await order(service);
    const say = async (message: object) =>
      expect(await tell(service, { job_id: jobId, ...message })).toEqual({
        status: 200,
        body: { received: true },
      });
    await say({ status: 'provisioning', workflow_run_id: '991' });
    expect(await fetchJob(jobId)).toMatchObject({ status: 'active', attempt: 1, workflowRunId: '991' });
    await say({ type: 'heartbeat' });
    await say({ status: 'provisioning', step: 'creating_server' });
    expect(await fetchAgent(agentId)).toMatchObject({ status: 'provisioning', step: 'creating_server' });
    const own = addresses();
    await say({ status: 'running', ...own, server_name: 'unheard of' });
    expect(await fetchJob(jobId)).toMatchObject({ status: 'succeeded', error: null });
    expect(await fetchAgent(agentId)).toMatchObject({
      status: 'running',
      ipv4: ADDRESSES.server_ip,
      tailnetIp: own.tailscale_ip,
    });
  });

  it('can be a shell script with curl and openssl', async () => {
    const { jobId } = await order(service);
    const script = `
      say() { signature=$(printf '%s' "$1" | openssl dgst -sha256 -hmac "$SECRET" | sed 's/^.* //')
        curl -sS -o /dev/null -w '%{http_code} ' -H "X-Signature: $signature" --data-binary "$1" "$URL"; }
      say '{"job_id":"${jobId}","status":"provisioning","workflow_run_id":"17","note":"ein Gerät mit  Leerzeichen"}'
      say '{"job_id":"${jobId}","type":"heartbeat"}'
      say '{"job_id":"${jobId}","status":"failed","error":"it \\"broke\\" – früh","failed_step":"creating_server"}'
      curl -sS -o /dev/null -w '%{http_code}' --data-binary '{"job_id":"${jobId}"}' "$URL"`;
    const { stdout } = await promisify(execFile)('bash', ['-c', script], {
      env: {
        PATH: process.env.PATH,
        SECRET: CALLBACK_SECRET.reveal(),
        URL: `${service.url}/api/webhooks/github`,
      },
    });
    expect(stdout).toBe('200 200 200 401');
    expect(await fetchJob(jobId)).toMatchObject({
      status: 'queued',
      retryCount: 1,
      error: 'it "broke" – früh',
      failedStep: 'creating_server',
    });
  });

  it('sends empty strings for missing values', async () => {
    const { jobId } = await order(service);
    await tell(service, { job_id: jobId, status: 'provisioning', step: '', workflow_run_id: '' });
    expect(await fetchJob(jobId)).toMatchObject({ status: 'active', step: null, workflowRunId: null });
    const answer = await tell(service, { job_id: jobId, status: 'running', server_id: '', server_ip: '' });
    expect(answer).toMatchObject({ status: 400, body: { error: expect.stringContaining('server_id') } });
    expect(
      (await tell(service, { job_id: jobId, status: 'failed', error: '', failed_step: '' })).status,
    ).toBe(200);
    expect(await fetchJob(jobId)).toMatchObject({
      status: 'queued',
      error: expect.stringMatching(/without a reason/),
    });
  });

  it('begins the next try itself, and after the last one the agent has failed and is rolled back', async () => {
    const { jobId, agentId } = await order(service);
    for (const run of ['1', '2', '3']) {
      const begun = await tell(service, { job_id: jobId, status: 'provisioning', workflow_run_id: run });
      expect(begun.status).toBe(200);
      await tell(service, {
        job_id: jobId,
        status: 'failed',
        error: `no ${run}`,
        failed_step: 'configuring',
      });
    }
    expect(await fetchJob(jobId)).toMatchObject({
      status: 'failed',
      attempt: 3,
      retryCount: 3,
      error: 'no 3',
    });
    expect(await fetchAgent(agentId)).toMatchObject({ status: 'failed', error: 'no 3' });
    const { items } = (await (await service.ask(`/api/agents/${agentId}/operations`)).json()) as {
      items: Record<string, unknown>[];
    };
    expect(items[0]).toMatchObject({ kind: 'rollback', status: 'queued', executor: 'github-actions' });
    const rolledBack = await tell(service, { job_id: items[0]!.operationId, status: 'running' });
    expect(rolledBack.status).toBe(200);
  });
});

describe('a repeated report → 200, nothing changes', () => {
  it('of a start and of a step', async () => {
    const { jobId } = await order(service);
    const begun = { job_id: jobId, status: 'provisioning', workflow_run_id: '5', step: 'configuring' };
    await tell(service, begun);
    await unchanged(jobId, async () => expect((await tell(service, begun)).status).toBe(200));
  });

  it('of a success, even with a late heartbeat after it', async () => {
    const { jobId } = await order(service);
    const report = { job_id: jobId, status: 'running', ...addresses() };
    await tell(service, report);
    await unchanged(jobId, async () => {
      expect((await tell(service, report)).status).toBe(200);
      expect((await tell(service, { job_id: jobId, type: 'heartbeat' })).status).toBe(200);
    });
  });

  it('of a failure, which counts once, both before the retry and after the last try', async () => {
    const { jobId } = await order(service);
    const attempt = await dispatched(service, jobId);
    const report = { job_id: jobId, status: 'failed', error: 'broken', failed_step: 'configuring' };
    await tell(service, report, { attempt });
    expect((await getRow(service.database, jobId)).retry_count).toBe(1);
    await unchanged(jobId, async () => {
      expect((await tell(service, report, { attempt })).status).toBe(200);
      expect((await tell(service, report)).status).toBe(200);
    });
  });
});

describe('too late, or for another runner → 409, nothing changes', () => {
  const refused = async (
    jobId: string,
    message: object,
    options: { attempt?: number; token?: string } = {},
  ) =>
    unchanged(jobId, async () => {
      const answer = await tell(service, { job_id: jobId, ...message }, options);
      expect(answer).toMatchObject({ status: 409, body: { error: expect.any(String) } });
    });

  it('a report that would change a finished operation', async () => {
    const { jobId, agentId } = await order(service);
    const report = addresses();
    await tell(service, { job_id: jobId, status: 'running', ...report });
    await refused(jobId, { status: 'provisioning' });
    await refused(jobId, { status: 'failed', error: 'after all' });
    await refused(jobId, { status: 'running', ...report, server_ip: '192.0.2.99' });
    expect(await fetchAgent(agentId)).toMatchObject({ status: 'running', ipv4: ADDRESSES.server_ip });
  });

  it('another attempt’s token, or an invalid one', async () => {
    const { jobId } = await order(service);
    const attempt = await dispatched(service, jobId, '300');
    await refused(jobId, { status: 'provisioning' }, { attempt: attempt + 1 });
    await refused(jobId, { status: 'provisioning' }, { token: 'garbage' });
    expect((await tell(service, { job_id: jobId, status: 'provisioning' }, { attempt })).status).toBe(200);
    await dispatchAgain(jobId);
    for (const message of [
      { type: 'heartbeat' },
      { status: 'provisioning', step: 'configuring' },
      { status: 'running', ...addresses() },
      { status: 'failed', error: 'late' },
    ])
      await refused(jobId, message, { attempt });
  });

  it('another run of the same attempt', async () => {
    const { jobId } = await order(service);
    const attempt = await dispatched(service, jobId, '400');
    await refused(jobId, { status: 'provisioning', workflow_run_id: '401' }, { attempt });
    await tell(service, { job_id: jobId, status: 'provisioning', workflow_run_id: 400 }, { attempt });
    await refused(jobId, { type: 'heartbeat', workflow_run_id: '401' });
  });

  it('a runner whose try has already failed', async () => {
    const { jobId } = await order(service);
    const attempt = await dispatched(service, jobId, '410');
    await tell(service, { job_id: jobId, status: 'failed', error: 'broken' }, { attempt });
    for (const message of [
      { type: 'heartbeat' },
      { status: 'provisioning', step: 'configuring' },
      { status: 'running', ...addresses() },
      { status: 'failed', error: 'otherwise' },
    ])
      await refused(jobId, message, { attempt });
    await refused(jobId, { status: 'provisioning', workflow_run_id: '410' });
    await refused(jobId, { type: 'heartbeat' });
  });

  it('a server that belongs to another agent', async () => {
    const [one, other] = [await order(service), await order(service)];
    const report = addresses();
    await tell(service, { job_id: one.jobId, status: 'running', ...report });
    await refused(other.jobId, { status: 'running', ...report });
  });

  it('a job that the service runs itself', async () => {
    const { jobId } = await order(service);
    await service.database
      .updateTable('operations')
      .set({ executor: 'local' })
      .where('operation_id', '=', jobId)
      .execute();
    await refused(jobId, { status: 'provisioning' });
  });

  it('a second operation of an agent before the first', async () => {
    const { jobId, agentId } = await order(service);
    await tell(service, { job_id: jobId, status: 'provisioning' });
    const answer = await service.ask(`/api/agents/${agentId}/destroy`, { method: 'POST' });
    const { operationId } = (await answer.json()) as { operationId: string };
    await refused(operationId, { status: 'provisioning' });
  });

  /** Lets the attempt time out and dispatches the next one. */
  async function dispatchAgain(jobId: string): Promise<void> {
    const { attempt } = await getRow(service.database, jobId);
    await service.database
      .updateTable('operations')
      .set({
        status: 'queued',
        worker_id: null,
        lease_until: null,
        attempt: attempt + 1,
        dispatched_at: new Date(),
        workflow_run_id: null,
      })
      .where('operation_id', '=', jobId)
      .execute();
  }
});
