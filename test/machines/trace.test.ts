import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { traceIdFor } from '../../src/log.ts';
import { createFleet, describeWithMachines, type Fleet } from '../support/fleet.ts';
import { type Installation, makeSite, type Site, startInstallation } from '../support/installation.ts';
import { type Collector, secondsBySteps, startCollector } from '../support/otlp-collector.ts';
import { serviceLog } from '../support/workflow-runs.ts';

let collector: Collector;
let site: Site;
let installation: Installation;
let fleet: Fleet;

describeWithMachines('a purchase on a real machine, seen from outside', () => {
  beforeAll(async () => {
    collector = await startCollector();
    site = await makeSite({
      SANDBOX_MACHINES: 'real',
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
      OTEL_METRIC_EXPORT_INTERVAL: '2000',
    });
    installation = await startInstallation(site);
    fleet = createFleet(installation);
    await fleet.buy('traced');
    await installation.untilAgent('traced', 'running', 240);
  }, 420_000);

  afterAll(async () => {
    await installation?.stop();
    await site?.remove();
    await collector?.close();
  }, 90_000);

  it('is one trace from the webhook to Ansible’s last task, which adds up to the ledger', async () => {
    const { operationId } = await fleet.operation('traced');
    const traceId = traceIdFor(operationId);
    const own = () => collector.spans.filter((span) => span.traceId === traceId);
    await expect.poll(() => own().length, { timeout: 30_000 }).toBeGreaterThan(20);
    const { body: ledger } = await installation.ask('/api/agents/traced/ledger');
    const steps = secondsBySteps(own());
    const total = Object.values(steps).reduce((sum, seconds) => sum + seconds, 0);
    console.log(`ledger ${ledger.seconds} s, spans ${total.toFixed(3)} s, ${own().length} spans`);
    expect(Math.abs(total - ledger.seconds)).toBeLessThan(0.01 * ledger.seconds);

    const byId = new Map(own().map((span) => [span.spanId, span]));
    const pathOf = (spanId: string | undefined): string[] => {
      const span = spanId === undefined ? undefined : byId.get(spanId);
      return span === undefined ? [] : [...pathOf(span.parentSpanId), span.name];
    };
    const tasks = own().filter(({ attributes }) => attributes['agent_stacks.task.kind'] === 'task');
    const last = tasks.toSorted((a, b) => a.end - b.end).at(-1)!;
    expect(pathOf(last.spanId)).toEqual([
      'POST /api/webhooks/stripe',
      'RUN provision',
      'attempt 1',
      'configuring',
      expect.stringMatching(/^create Command /),
      last.name,
    ]);
    expect(tasks.length).toBeGreaterThan(10);
    // Every span shares time with its parent.
    for (const span of own().filter(({ name }) => !/^(RUN|POST)/.test(name))) {
      const parent = byId.get(span.parentSpanId ?? '')!;
      expect(span.start, span.name).toBeLessThanOrEqual(parent.end);
      expect(span.end, span.name).toBeGreaterThanOrEqual(parent.start);
    }
  }, 60_000);

  it('has its id in the lines of every process', async () => {
    const { operationId } = await fleet.operation('traced');
    const traceId = traceIdFor(operationId);
    const lines = serviceLog(installation, operationId).map((line) => JSON.parse(line));
    const events = lines.map(({ event, process }) => [process ?? 'service', event].join(' '));
    expect(events).toEqual(
      expect.arrayContaining([
        'service stripe.recorded',
        'service attempt.started',
        'engine engine.run_started',
        'engine engine.run_ended',
        'service attempt.ended',
      ]),
    );
    expect(new Set(lines.map((line) => line.traceId))).toEqual(new Set([traceId]));
    const folder = join(site.dataDir, 'logs', 'configure');
    const [file] = readdirSync(folder).filter((name) => name.startsWith(operationId));
    const told = readFileSync(join(folder, file!), 'utf8').match(/^progress: .*$/gm) ?? [];
    expect(told.length).toBeGreaterThan(5);
    for (const line of told) expect(line).toContain(`operation=${operationId} trace=${traceId}`);
  });

  it('reaches the collector as metrics too', async () => {
    const find = (name: string) => collector.metrics.findLast((metric) => metric.name === name);
    await expect
      .poll(() => find('agent_stacks_running_seconds')?.dataPoints.map(({ count }) => Number(count)), {
        timeout: 30_000,
      })
      .toContain(1);
    expect(find('agent_stacks_running_seconds')).toMatchObject({ type: 'histogram', unit: 's' });
    expect(find('agent_stacks_agents')).toMatchObject({ type: 'gauge' });
    expect(find('agent_stacks_engine_processes')).toMatchObject({ type: 'gauge' });
    expect(find('agent_stacks_stripe_events')).toMatchObject({ type: 'sum' });
  }, 60_000);
});
