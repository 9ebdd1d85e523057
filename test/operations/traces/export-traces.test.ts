import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { toPairs } from '../../../src/config/telemetry.ts';
import { RetryableError } from '../../../src/errors.ts';
import { traceIdFor } from '../../../src/log.ts';
import { recordEvents } from '../../../src/operations/claims.ts';
import { readLedger } from '../../../src/operations/ledger.ts';
import { settleFailure, succeed } from '../../../src/operations/settle.ts';
import { startTraceExport } from '../../../src/operations/traces/export-traces.ts';
import { recordSpans } from '../../../src/operations/traces/record-spans.ts';
import { createSpanRecorder } from '../../../src/operations/traces/span-recorder.ts';
import type { Repeating } from '../../../src/processes/repeat.ts';
import { Secret } from '../../../src/secret.ts';
import { type Otlp, openOtlp } from '../../../src/telemetry/otlp.ts';
import {
  claim,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  order,
  waitOver,
} from '../../support/operations-fixture.ts';
import { type Collector, secondsBySteps, startCollector } from '../../support/otlp-collector.ts';

let at: OperationsFixture;
let collector: Collector;
let otlp: Otlp;
let exporting: Repeating | undefined;

beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  collector = await startCollector();
  otlp = await openOtlp(
    {
      endpoint: collector.endpoint,
      headers: new Secret('x-key=s%20ecret'),
      serviceName: 'agents of a test',
      resourceAttributes: toPairs('deployment.environment.name=test'),
      timeoutMs: 1_000,
      metricIntervalMs: 1_000,
    },
    { role: 'all', instanceId: 'i1', version: '1' },
  );
});
afterEach(async () => {
  await exporting?.stop();
  await otlp.stop();
  await collector.close();
  await at.empty();
  at.logged.length = 0;
});

function startExport(): void {
  exporting = startTraceExport({
    ...at,
    otlp,
    operatorUrl: 'https://agents.test',
    lookSeconds: 0.05,
    graceSeconds: 0,
  });
}

const untilSpans = (count: number) =>
  expect.poll(() => collector.spans.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(count);

/** Different for each agent. */
const outputsOf = (agentId: string) => ({
  ...OUTPUTS,
  serverId: agentId.slice(1),
  serverName: `agent-${agentId}`,
  tailnetIp: `100.64.0.${agentId.slice(1)}`,
  tailnetName: `agent-${agentId}.tail.ts.net`,
});

/** A provision that has failed for good. */
async function failedProvision(agentId: string, step: string): Promise<string> {
  const { operation_id: operationId } = await order(at, agentId);
  await sql`update operations set status = 'failed', error = 'no', failed_step = ${step}, finished_at = clock_timestamp()
    where operation_id = ${operationId}`.execute(at.database);
  return operationId;
}

/** A provision whose first try fails and whose second one succeeds. */
async function provisionInTwoTries(agentId: string): Promise<string> {
  const { operation_id: operationId } = await order(at, agentId);
  const first = await claim(at);
  await recordEvents(at.database, first.claim, [{ type: 'step', data: { step: 'creating_server' } }]);
  const deps = { database: at.database, queue: at.queue };
  const error = new RetryableError('no answer from 203.0.113.7');
  await settleFailure(deps, first.claim, { error, step: 'creating_server' });
  await waitOver(at);
  const second = await claim(at, 'w2');
  const spans = createSpanRecorder(at.database, second.claim);
  for (const step of ['creating_server', 'configuring'])
    await recordEvents(at.database, second.claim, [{ type: 'step', data: { step } }]);
  const [startedAt, endedAt] = [Date.now() - 1, Date.now()];
  const attributes = { 'pulumi.resource.type': 'command:local:Command' };
  const outcome = 'success' as const;
  spans.report({ kind: 'run', name: 'pulumi up', startedAt, endedAt, outcome });
  spans.report({
    kind: 'resource',
    name: 'create Command configure',
    startedAt,
    endedAt,
    outcome,
    attributes,
  });
  await spans.close();
  await recordEvents(at.database, second.claim, [{ type: 'step', data: { step: 'verifying' } }]);
  await succeed(deps, second.claim, { kind: 'running', outputs: outputsOf(agentId) });
  return operationId;
}

it('sends one trace for an operation of two tries by two workers, which adds up to the ledger', async () => {
  const operationId = await provisionInTwoTries('a1');
  await recordSpans(at.database, { operationId, attempt: 0 }, [
    { kind: 'webhook', name: 'POST /x', startedAt: Date.now(), endedAt: Date.now(), outcome: 'success' },
  ]);
  const ledger = await readLedger(at.database, 'a1');
  startExport();
  await untilSpans(10);
  const { spans } = collector;
  expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([traceIdFor(operationId)]));
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
  const steps = secondsBySteps(spans);
  const total = Object.values(steps).reduce((sum, seconds) => sum + seconds, 0);
  expect(ledger?.seconds).toBeGreaterThan(0);
  expect(Math.abs(total - ledger!.seconds!)).toBeLessThan(0.01 * ledger!.seconds!);
  for (const { step, seconds } of ledger!.steps.filter(({ seconds }) => seconds > 0))
    expect(steps[step]).toBeCloseTo(seconds, 2);
  const run = spans.find(({ name }) => name === 'RUN provision')!;
  expect(run.end - run.start).toBeCloseTo(ledger!.seconds! * 1000, 0);
  expect(run).toMatchObject({
    kind: 2,
    isError: false,
    attributes: {
      'cicd.pipeline.name': 'provision',
      'cicd.pipeline.run.id': operationId,
      'cicd.pipeline.result': 'success',
      'cicd.pipeline.run.url.full': 'https://agents.test/agents/a1',
    },
  });
  const named = (name: string) => spans.filter((span) => span.name === name);
  expect(run.parentSpanId).toBe(named('POST /x')[0]!.spanId);
  expect(named('attempt 1')[0]).toMatchObject({ parentSpanId: run.spanId, isError: true });
  expect(named('attempt 2')[0]).toMatchObject({ parentSpanId: run.spanId, isError: false });
  expect(named('creating_server').map(({ parentSpanId }) => parentSpanId)).toContain(
    named('attempt 1')[0]!.spanId,
  );
  expect(named('waiting_to_retry')[0]?.parentSpanId).toBe(run.spanId);
  expect(named('pulumi up')[0]?.parentSpanId).toBe(named('attempt 2')[0]!.spanId);
  // What quotes an error, an address or a person stays here.
  expect(JSON.stringify(spans)).not.toMatch(/203\.0\.113\.7|u1\b/);
  expect(collector.resources[0]).toMatchObject({
    'service.name': 'agents of a test',
    'service.instance.id': 'i1',
    'deployment.environment.name': 'test',
  });
  expect(collector.requests[0]).toMatchObject({ url: '/v1/traces', headers: { 'x-key': 's ecret' } });
});

it('keeps what a collector that is away has missed, warns once, and sends it later', async () => {
  collector.become('down');
  await provisionInTwoTries('a1');
  startExport();
  await expect.poll(() => collector.requests.length, { timeout: 20_000 }).toBeGreaterThan(2);
  const warnings = () => at.logged.filter(({ event }) => event === 'telemetry.traces_failed');
  await expect.poll(() => warnings().length).toBe(1);
  expect(collector.spans).toEqual([]);
  collector.become('up');
  await untilSpans(8);
  expect(warnings()).toHaveLength(1);
});

it('a trace whose exporter was killed is sent by another process, and one that was sent is not', async () => {
  const operationId = await provisionInTwoTries('a1');
  // As a kill between the claim and the answer leaves it.
  await sql`insert into exported_traces select operation_id, finished_at, now() - interval '1 second'
    from operations where operation_id = ${operationId}`.execute(at.database);
  startExport();
  await untilSpans(8);
  const sent = collector.spans.length;
  await exporting?.stop();
  await provisionInTwoTries('a2');
  await sql`update exported_traces t set finished_at = o.finished_at from operations o
    where o.operation_id = t.operation_id`.execute(at.database);
  startExport();
  await untilSpans(sent + 8);
  expect(new Set(collector.spans.slice(sent).map(({ traceId }) => traceId)).size).toBe(1);
});

it('a silent collector holds nothing up but the next look', async () => {
  collector.become('silent');
  await provisionInTwoTries('a1');
  startExport();
  await expect.poll(() => collector.requests.length, { timeout: 20_000 }).toBeGreaterThan(0);
  // Another operation runs to its end meanwhile.
  await provisionInTwoTries('a2');
  await expect
    .poll(() => at.logged.some(({ event }) => event === 'telemetry.traces_failed'), { timeout: 20_000 })
    .toBe(true);
});

it('names no step in the words of a foreign runner', async () => {
  const operationId = await failedProvision('a1', 'Fetching https://user:secret@203.0.113.7');
  startExport();
  const run = () =>
    collector.spans.find(({ traceId, kind }) => traceId === traceIdFor(operationId) && kind === 2);
  await expect.poll(run, { timeout: 20_000 }).toMatchObject({ attributes: { 'error.type': 'other' } });
});

it('a trace that the collector refuses is given up with a warning, and holds no other up', async () => {
  const ids = [];
  for (const agentId of ['a1', 'a2', 'a3', 'a4', 'a5'])
    ids.push(await failedProvision(agentId, 'configuring'));
  collector.refuse(traceIdFor(ids[2]!), 400);
  startExport();
  const sent = () => new Set(collector.spans.map(({ traceId }) => traceId));
  await expect.poll(() => sent().size, { timeout: 20_000 }).toBe(4);
  const dropped = () => at.logged.filter(({ event }) => event === 'telemetry.trace_dropped');
  await expect.poll(dropped).toMatchObject([{ operationId: ids[2], level: 40 }]);
  // The collector has a trace, and the log its warning, before the claim is given up.
  const claimed = async () =>
    (
      await sql<{ id: string }>`select operation_id as id from exported_traces
        where claimed_until is not null`.execute(at.database)
    ).rows;
  await expect.poll(claimed).toEqual([]);
});

it('a refusal that is about the token gives up nothing', async () => {
  const operationId = await failedProvision('a1', 'configuring');
  collector.refuse(traceIdFor(operationId), 401);
  startExport();
  await expect.poll(() => collector.requests.length, { timeout: 20_000 }).toBeGreaterThan(2);
  collector.refuse('', 0);
  await untilSpans(1);
  expect(at.logged.filter(({ event }) => event === 'telemetry.trace_dropped')).toEqual([]);
});
