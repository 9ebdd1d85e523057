import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { Installation } from '../support/installation.ts';
import { paidCheckout } from '../support/stripe-events.ts';
import { useInstallation } from '../support/use-installation.ts';
import { latestOperation, serviceLog } from '../support/workflow-runs.ts';

const clientPath = fileURLToPath(new URL('processes/contract-client.sh', import.meta.url));

let installation: Installation;

useInstallation(
  (started) => {
    installation = started;
  },
  { EXECUTOR: 'github-actions', SANDBOX_GITHUB: 'no-token' },
);

/** Sends these lines with the independent client. @returns the status of each answer */
async function send(...lines: string[]): Promise<number[]> {
  const { connection } = installation;
  const environment = {
    PATH: process.env.PATH,
    CALLBACK_URL: `${connection.url}/api/webhooks/github`,
    CALLBACK_SECRET: connection.githubCallbackSecret,
  };
  const running = promisify(execFile)('sh', [clientPath], { env: environment });
  running.child.stdin!.end(`${lines.join('\n')}\n`);
  return (await running).stdout.trim().split('\n').map(Number);
}

/** Pays for an agent. @returns a function that reads its row in the first version's view */
async function order(agentId: string) {
  const sent = paidCheckout({ agentId, userId: 'user-1', region: 'eu-central' });
  expect(await installation.deliver(sent)).toMatchObject({ status: 200, body: { received: true } });
  return async () => {
    const rows = await installation.query('select * from provisioning_jobs where agent_id = $1', [agentId]);
    expect(rows).toHaveLength(1);
    return rows[0];
  };
}

const newId = (name: string) => `${name}-${randomUUID().slice(0, 8)}`;

describe('without a token for GitHub', () => {
  it('the order is answered 200 and stays queued; the reason is logged and shown', async () => {
    const agentId = newId('waiting');
    const job = await order(agentId);
    await eventually('the reason is on the job', async () => (await job()).error !== null, {
      withinSeconds: 20,
    });
    expect(await job()).toMatchObject({ status: 'queued', error: expect.stringContaining('GITHUB_PAT') });
    const { operationId } = await latestOperation(installation, agentId);
    const lines = () => serviceLog(installation, operationId).map((line) => JSON.parse(line));
    await expect
      .poll(lines, { timeout: 20_000 })
      .toContainEqual(
        expect.objectContaining({ level: 'error', reason: expect.stringContaining('GITHUB_PAT') }),
      );
  }, 60_000);
});

describe('a runner written against the contract alone', () => {
  it('takes a job through all its callbacks, with blanks, other alphabets and fields of its own', async () => {
    const job = await order(newId('driven'));
    const { id } = await job();
    const begun = [
      `{ "job_id" : "${id}",  "status":"provisioning", "workflow_run_id": "8154711" }`,
      `{"status":"provisioning","step":"сервер wird größer 🙂 \\u00fc \\"x\\"","job_id":"${id}","workflow_run_id":"8154711"}`,
      `{"job_id":"${id}","type":"heartbeat","extra":{"deep":["ignored",null,1e3]},"Status":"FAILED"}`,
    ];
    expect(await send(...begun)).toEqual([200, 200, 200]);
    const provisioning = await job();
    expect(provisioning).toMatchObject({ status: 'provisioning', workflow_run_id: '8154711', error: null });
    expect(provisioning.last_heartbeat_at).toBeInstanceOf(Date);

    const running = `{"job_id":"${id}","status":"running","server_id":"4711","server_ip":"203.0.113.7","tailscale_ip":"100.64.0.7","error":""}`;
    expect(await send(running, running)).toEqual([200, 200]);
    expect(await job()).toMatchObject({ status: 'running', error: null, failed_step: null });
    const { agent_id } = await job();
    expect((await installation.ask(`/api/agents/${agent_id}`)).body).toMatchObject({
      status: 'running',
      serverId: '4711',
      ipv4: '203.0.113.7',
      tailnetIp: '100.64.0.7',
    });
    const late = `{"job_id":"${id}","status":"failed","error":"late","failed_step":"x"}`;
    expect(await send(late, `{"job_id":"${id}","type":"heartbeat"}`)).toEqual([409, 200]);
    expect(await job()).toMatchObject({ status: 'running', error: null });
  }, 60_000);

  it('reports a failure, which is a failed try', async () => {
    const agentId = newId('failing');
    const job = await order(agentId);
    const { id } = await job();
    const error = 'Es ging nicht: „zu groß“ — 日本語, \\n and "quotes"';
    const failed = JSON.stringify({
      job_id: id,
      status: 'failed',
      error,
      failed_step: 'Ein Schritt mit Ümläuten',
    });
    expect(await send(`{"job_id":"${id}","status":"provisioning"}`, failed)).toEqual([200, 200]);
    expect(await job()).toMatchObject({
      status: 'queued',
      retry_count: 1,
      error,
      failed_step: 'Ein Schritt mit Ümläuten',
    });
  }, 60_000);

  it('is refused exactly what the contract refuses', async () => {
    const { id } = await (await order(newId('refused')))();
    const unknown = randomUUID();
    const answers = await send(
      `{"job_id":"${unknown}","type":"heartbeat"}`,
      `{"job_id":"${id}","status":"deleted"}`,
      `{"status":"running"}`,
      `{"job_id":"${id}","status":"running","server_id":"1","server_ip":"not an address","tailscale_ip":"100.64.0.7"}`,
      `{"job_id":"${id}"`,
    );
    expect(answers).toEqual([404, 400, 400, 400, 400]);
  }, 60_000);
});
