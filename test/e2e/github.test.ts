import { createHmac, randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { traceIdFor } from '../../src/log.ts';
import { getHoldings } from '../support/clouds.ts';
import { eventually } from '../support/eventually.ts';
import { type RecordingProxy, startProxy } from '../support/http-proxy.ts';
import { type Installation, makeSite, type Site, startInstallation } from '../support/installation.ts';
import { type Collector, secondsBySteps, startCollector } from '../support/otlp-collector.ts';
import { act, noAct } from '../support/sandbox-github.ts';
import { collectSecrets, testSecrets } from '../support/secret-claims.ts';
import { type ProcessWatch, type SecretProbes, watchProcesses } from '../support/secret-probes.ts';
import { paidCheckout } from '../support/stripe-events.ts';
import { latestOperation, runLog, serviceLog, workflowRun } from '../support/workflow-runs.ts';
import { callBack, testFinalFailure, testKilledRunner } from './github/failures.ts';
import { testOperations } from './github/operations.ts';

const agentId = `github-${randomUUID().slice(0, 8)}`;
const killedId = `killed-${randomUUID().slice(0, 8)}`;
const event = paidCheckout({ agentId, userId: 'user-1', region: 'eu-central' });
const stack = `agent-${agentId}`;

let site: Site | undefined;
let installation: Installation;
let collector: Collector | undefined;
let proxy: RecordingProxy | undefined;
let watch: ProcessWatch | undefined;

/** In an environment that would lead its processes astray, and those of the runs below them. */
beforeAll(async () => {
  if (act === undefined) return;
  collector = await startCollector();
  proxy = await startProxy();
  const { url } = proxy;
  site = await makeSite({
    EXECUTOR: 'github-actions',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    BILLING_PLANS: fileURLToPath(new URL('lifecycle/plans.json', import.meta.url)),
    ...{ http_proxy: url, https_proxy: url, HTTP_PROXY: url, HTTPS_PROXY: url, grpc_proxy: url },
    no_proxy: ' internal.example , 10.0.0.1 ',
    NODE_USE_ENV_PROXY: '1',
    ...{ PGSSLMODE: 'require', PGOPTIONS: '-c search_path=elsewhere' },
    ...{ PGHOST: 'elsewhere.invalid', PGUSER: 'somebody' },
  });
  watch = watchProcesses(['PULUMI_BACKEND_URL']);
  installation = await startInstallation(site);
}, 180_000);

afterAll(async () => {
  watch?.stop();
  await installation?.stop();
  await site?.remove();
  await collector?.close();
  proxy?.close();
}, 90_000);

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
    expect(await getHoldings(installation.connection, agentId)).toEqual({
      servers: [stack],
      sshKeys: [stack],
      // Used up by its one device, and so no longer listed.
      tailnetKeys: [],
      devices: [stack],
    });
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
      expect(await callBack(installation, body, wrong), String(wrong)).toEqual(refused);
    expect(await callBack(installation, `${body} `, right)).toEqual(refused);
    expect(await callBack(installation, body)).toEqual({ status: 200, body: { received: true } });
  });

  testKilledRunner(() => installation, killedId);
});

describe('no secret of an installation with runners appears', () => {
  const said: { where: string; text: string }[] = [];
  const probes: SecretProbes = new Map();
  const searched = () => ({ installation, watch: watch!, agentIds: [agentId, killedId] as const, probes });

  /** Runs a command, whose output is searched too. */
  async function tell(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await installation.run(words);
    expect(`${words.join(' ')}: ${code}${code === 0 ? '' : stderr}`).toBe(`${words.join(' ')}: 0`);
    said.push({ where: words.join(' '), text: stdout + stderr });
    return stdout;
  }

  it('(nor in the steps that `agents -- logs` tells, or the stack that the plain CLI finds true)', async () => {
    await collectSecrets(searched());
    const log = await tell('agents', '--', 'logs', agentId);
    expect(log).toMatch(/▸ creating_server[\s\S]*▸ joining_network[\s\S]*▸ configuring[\s\S]*▸ verifying/);
    expect(log).toMatch(/creating server \(Server\)…[\s\S]*creating server \(Server\): done/);
    const preview = await tell('pulumi', '--', 'preview', '-s', stack, '--diff', '--expect-no-changes');
    expect(preview).toMatch(/5 unchanged/);
    const { resources } = JSON.parse(await tell('pulumi', '--', 'stack', 'export', '-s', stack)).deployment;
    const { body: agent } = await installation.ask(`/api/agents/${agentId}`);
    const { serverId, serverName, ipv4, ipv6, tailnetIp, tailnetName } = agent;
    expect(resources[0].outputs).toEqual({ serverId, serverName, ipv4, ipv6, tailnetIp, tailnetName });
  }, 60_000);

  testFinalFailure(() => installation, `failing-${randomUUID().slice(0, 8)}`);
  testSecrets(() => ({ ...searched(), logs: 'logs/github/', said }));
});

describe('an agent whose operations runners execute', () => {
  beforeAll(() => watch?.stop());
  testOperations(() => ({ installation, agentId }));
});

it('behind a proxy and with Postgres settings in the environment, all of this met neither', () => {
  expect(installation.terminal()).toContain('PGHOST, PGOPTIONS, PGSSLMODE, PGUSER: ignored');
  // In sandbox mode all connections are between our own processes.
  expect(proxy!.seen).toEqual([]);
});
