import { createHmac } from 'node:crypto';
import { expect, it } from 'vitest';
import { clearFaults, failOrders, getHoldings, orderFault } from '../../support/clouds.ts';
import { eventually } from '../../support/eventually.ts';
import type { Installation } from '../../support/installation.ts';
import { paidCheckout } from '../../support/stripe-events.ts';
import { killRun, latestOperation, workflowRun } from '../../support/workflow-runs.ts';

/** Posts a body to `POST /api/webhooks/github`, by default with a valid signature. */
export async function callBack(installation: Installation, body: string, signature?: string | null) {
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

/** Declares a test of an order that cannot be executed. `failing`: its agent */
export function testFinalFailure(get: () => Installation, failing: string): void {
  it('is tried again after a failure, fails with error and step if it cannot be executed, and leaves nothing billed', async () => {
    const installation = get();
    await failOrders(installation.connection, [
      { status: 500, times: 1 },
      // What Hetzner calls invalid stays so: the run reports that no other try can help.
      { status: 422, times: 100 },
    ]);
    await installation.deliver(paidCheckout({ agentId: failing, userId: 'user-1', region: 'eu-central' }));
    await installation.untilAgent(failing, 'failed', 200);
    await clearFaults(installation.connection);
    const [row] = await installation.query('select * from provisioning_jobs where agent_id = $1', [failing]);
    expect(row).toMatchObject({
      status: 'failed',
      failed_step: 'creating_server',
      error: expect.stringContaining('invalid'),
      retry_count: 2,
    });
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
}

/** Declares a test of a runner that is killed. `killed`: its agent */
export function testKilledRunner(get: () => Installation, killed: string): void {
  it('is executed again after its runner was killed midway, with one server in the end', async () => {
    const installation = get();
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
    await forgetToWait(installation, killed);
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
    expect((await callBack(installation, JSON.stringify(late))).status).toBe(409);
  }, 360_000);
}

/** Backdates the heartbeat by more than the two and a half minutes after which GitHub is asked. */
async function forgetToWait(installation: Installation, id: string): Promise<void> {
  await installation.query(
    `update operations set last_heartbeat_at = last_heartbeat_at - interval '3 minutes',
       dispatched_at = dispatched_at - interval '3 minutes' where agent_id = $1 and status = 'active'`,
    [id],
  );
}
