import { createHmac, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { traceIdFor } from '../../src/log.ts';
import { clearFaults, getHoldings, orderFault } from '../support/clouds.ts';
import { eventually } from '../support/eventually.ts';
import { type Installation, makeSite, type Site, startInstallation } from '../support/installation.ts';
import { type Collector, secondsBySteps, startCollector } from '../support/otlp-collector.ts';
import { act, noAct } from '../support/sandbox-github.ts';
import { paidCheckout } from '../support/stripe-events.ts';
import { killRun, latestOperation, runLog, serviceLog, workflowRun } from '../support/workflow-runs.ts';

const agentId = `github-${randomUUID().slice(0, 8)}`;
const event = paidCheckout({ agentId, userId: 'user-1', region: 'eu-central' });

let site: Site | undefined;
let installation: Installation;
let collector: Collector | undefined;

beforeAll(async () => {
  if (act === undefined) return;
  collector = await startCollector();
  site = await makeSite({ EXECUTOR: 'github-actions', OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint });
  installation = await startInstallation(site);
}, 180_000);

afterAll(async () => {
  await installation?.stop();
  await site?.remove();
  await collector?.close();
}, 90_000);

/** Posts a body to `POST /api/webhooks/github`, by default with a valid signature. */
async function callBack(body: string, signature?: string | null) {
  const secret = installation.connection.githubCallbackSecret;
  const signed =
    signature === undefined ? createHmac('sha256', secret).update(body).digest('hex') : signature;
  const response = await fetch(`${installation.connection.url}/api/webhooks/github`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(signed === null ? {} : { 'x-signature': signed }) },
    body,
  });
  return { status: response.status, body: await response.json() };
}

beforeEach(({ skip }) => {
  skip(act === undefined, noAct);
});

const provision = () => latestOperation(installation, agentId);

describe('an order executed by a runner', () => {
  it('is answered at once, and becomes a running agent by the run’s callbacks alone', async () => {
    expect(await installation.deliver(event)).toMatchObject({ status: 200, body: { received: true } });
    await installation.untilAgent(agentId, 'running', 150);
    expect(await provision()).toMatchObject({
      executor: 'github-actions',
      status: 'succeeded',
      attempt: 1,
    });
    expect((await getHoldings(installation.connection, agentId)).servers).toEqual([`agent-${agentId}`]);
  }, 180_000);

  it('had one workflow run, whose heartbeat arrived and ended', async () => {
    const { operationId, workflowRunId } = await provision();
    await eventually(
      'its run has ended',
      async () => (await workflowRun(installation, workflowRunId)).status === 'completed',
      { withinSeconds: 20 },
    );
    expect(await workflowRun(installation, workflowRunId)).toMatchObject({
      conclusion: 'success',
      display_title: `${agentId} ${operationId}`,
    });
    const log = runLog(installation, workflowRunId);
    expect(log).toMatch(/heartbeat: 0\n[\s\S]*Heartbeat stopped\n[\s\S]*orphan processes: none\n$/);
    const [row] = await installation.query('select * from provisioning_jobs where id = $1', [operationId]);
    expect(row).toMatchObject({
      status: 'running',
      workflow_run_id: workflowRunId,
      stripe_event_id: event.id,
      last_heartbeat_at: expect.any(Date),
    });
  }, 40_000);

  it('is one trace, with what the runner saw', async () => {
    const { operationId, workflowRunId } = await provision();
    const traceId = traceIdFor(operationId);
    const own = () => collector!.spans.filter((span) => span.traceId === traceId);
    await expect.poll(() => own().length, { timeout: 30_000 }).toBeGreaterThan(8);
    const names = own().map(({ name }) => name);
    for (const name of ['POST /api/webhooks/stripe', 'POST /api/runner/claim', 'POST /api/webhooks/github'])
      expect(names).toContain(name);
    expect(names).toContain('pulumi up');
    expect(names.filter((name) => name.startsWith('create '))).not.toEqual([]);
    const { body: ledger } = await installation.ask(`/api/agents/${agentId}/ledger`);
    const total = Object.values(secondsBySteps(own())).reduce((sum, seconds) => sum + seconds, 0);
    expect(Math.abs(total - ledger.seconds)).toBeLessThan(0.01 * ledger.seconds);
    expect(runLog(installation, workflowRunId)).toContain(`operation ${operationId}, trace ${traceId}`);
  }, 40_000);

  it('is not executed again when Stripe sends the event again', async () => {
    const before = serviceLog(installation, 'already processed').length;
    expect(await installation.deliver(event)).toMatchObject({ status: 200, body: { received: true } });
    const jobs = await installation.query('select id from provisioning_jobs where agent_id = $1', [agentId]);
    expect(jobs).toHaveLength(1);
    const lines = () => serviceLog(installation, 'already processed');
    await expect.poll(() => lines().length, { timeout: 20_000 }).toBe(before + 1);
    expect(lines().at(-1)).toContain(event.id);
  });

  it('ignores callers without a valid signature', async () => {
    const { operationId, workflowRunId } = await provision();
    const body = JSON.stringify({ job_id: operationId, type: 'heartbeat', workflow_run_id: workflowRunId });
    const right = createHmac('sha256', installation.connection.githubCallbackSecret)
      .update(body)
      .digest('hex');
    const other = createHmac('sha256', 'another secret').update(body).digest('hex');
    const refused = { status: 401, body: { error: 'Invalid signature' } };
    for (const wrong of [null, '', 'xyz', other, right.slice(0, -2), `${right}00`, `sha256=${right}`])
      expect(await callBack(body, wrong), String(wrong)).toEqual(refused);
    expect(await callBack(`${body} `, right)).toEqual(refused);
    expect(await callBack(body)).toEqual({ status: 200, body: { received: true } });
  });

  it('is executed again after its runner was killed midway, with one server in the end', async () => {
    const killed = `killed-${randomUUID().slice(0, 8)}`;
    // The create succeeds, but its answer arrives after the kill.
    await orderFault(installation.connection, {
      area: 'hetzner',
      method: 'GET',
      path: '/actions**',
      effect: { kind: 'latency', ms: 20_000 },
    });
    await installation.deliver(paidCheckout({ agentId: killed, userId: 'user-1', region: 'eu-central' }));
    await eventually(
      'its server is there',
      async () => (await getHoldings(installation.connection, killed)).servers.length === 1,
      { withinSeconds: 60 },
    );
    const { workflowRunId } = await latestOperation(installation, killed);
    const ended = await killRun(installation, workflowRunId);
    expect(ended.length).toBeGreaterThan(3);
    await clearFaults(installation.connection);
    await eventually(
      'GitHub knows',
      async () => (await workflowRun(installation, workflowRunId)).conclusion === 'failure',
      { withinSeconds: 20 },
    );
    await forgetToWait(killed);
    await installation.untilAgent(killed, 'running', 200);
    const operation = await latestOperation(installation, killed);
    expect(operation.attempt).toBeGreaterThan(1);
    expect(operation.workflowRunId).not.toBe(workflowRunId);
    expect((await getHoldings(installation.connection, killed)).servers).toEqual([`agent-${killed}`]);
    // A late callback learns that its attempt is over, with the attempt's token or without it.
    const late = {
      job_id: operation.operationId,
      status: 'failed',
      error: 'late',
      workflow_run_id: workflowRunId,
    };
    expect((await callBack(JSON.stringify(late))).status).toBe(409);
  }, 360_000);

  it('fails with error and step if it cannot be executed, and leaves nothing billed', async () => {
    const failing = `failing-${randomUUID().slice(0, 8)}`;
    await orderFault(installation.connection, {
      area: 'hetzner',
      method: 'POST',
      path: '/servers',
      times: 100,
      effect: { kind: 'status', status: 403 },
    });
    await installation.deliver(paidCheckout({ agentId: failing, userId: 'user-1', region: 'eu-central' }));
    await installation.untilAgent(failing, 'failed', 200);
    await clearFaults(installation.connection);
    const [row] = await installation.query('select * from provisioning_jobs where agent_id = $1', [failing]);
    expect(row).toMatchObject({
      status: 'failed',
      failed_step: 'creating_server',
      error: expect.any(String),
    });
    expect(row.error).toMatch(/resource.limit|403|limit/i);
    await eventually(
      'its rollback has succeeded',
      async () => {
        const { kind, status } = await latestOperation(installation, failing);
        return kind === 'rollback' && status === 'succeeded';
      },
      { withinSeconds: 150 },
    );
    const { executor, workflowRunId } = await latestOperation(installation, failing);
    expect([executor, (await workflowRun(installation, workflowRunId)).event]).toEqual([
      'github-actions',
      'workflow_dispatch',
    ]);
    expect(await getHoldings(installation.connection, failing)).toEqual({
      servers: [],
      sshKeys: [],
      tailnetKeys: [],
      devices: [],
    });
  }, 360_000);
});

/** Backdates the heartbeat by more than the two and a half minutes after which GitHub is asked. */
async function forgetToWait(id: string): Promise<void> {
  await installation.query(
    `update operations set last_heartbeat_at = last_heartbeat_at - interval '3 minutes',
       dispatched_at = dispatched_at - interval '3 minutes' where agent_id = $1 and status = 'active'`,
    [id],
  );
}
