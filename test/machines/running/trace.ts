import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { traceIdFor } from '../../../src/log.ts';
import type { Fleet } from '../../support/fleet.ts';
import type { Installation } from '../../support/installation.ts';
import { type Collector, secondsBySteps } from '../../support/otlp-collector.ts';
import { serviceLog } from '../../support/workflow-runs.ts';

export interface Traced {
  collector: Collector;
  installation: Installation;
  fleet: Fleet;
  /** One that was bought, and how many run in all. */
  agentId: string;
  running: number;
}

/** Declares tests of a purchase as it is seen from outside: one trace, the same id in every log, metrics. */
export function testTrace(get: () => Traced): void {
  it('a purchase is one trace from the webhook to Ansible’s last task, which adds up to the ledger', async () => {
    const { collector, installation, fleet, agentId } = get();
    const { operationId } = await fleet.operation(agentId);
    const traceId = traceIdFor(operationId);
    const own = () => collector.spans.filter((span) => span.traceId === traceId);
    await expect.poll(() => own().length, { timeout: 30_000 }).toBeGreaterThan(20);
    const { body: ledger } = await installation.ask(`/api/agents/${agentId}/ledger`);
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
    expect(tasks.length).toBeGreaterThanOrEqual(10);
    // Every span shares time with its parent.
    for (const span of own().filter(({ name }) => !/^(RUN|POST)/.test(name))) {
      const parent = byId.get(span.parentSpanId ?? '')!;
      expect(span.start, span.name).toBeLessThanOrEqual(parent.end);
      expect(span.end, span.name).toBeGreaterThanOrEqual(parent.start);
    }
  }, 60_000);

  it('a purchase has its id in the lines of every process', async () => {
    const { installation, fleet, agentId } = get();
    const { operationId } = await fleet.operation(agentId);
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
    const folder = join(installation.site.dataDir, 'logs', 'configure');
    const [file] = readdirSync(folder).filter((name) => name.startsWith(operationId));
    const told = readFileSync(join(folder, file!), 'utf8').match(/^progress: .*$/gm) ?? [];
    expect(told.length).toBeGreaterThan(5);
    for (const line of told) expect(line).toContain(`operation=${operationId} trace=${traceId}`);
  });

  it('purchases reach the collector as metrics too', async () => {
    const { collector, running } = get();
    const find = (name: string) => collector.metrics.findLast((metric) => metric.name === name);
    const measured = () =>
      find('agent_stacks_running_seconds')?.dataPoints.reduce((sum, { count }) => sum + Number(count), 0);
    await expect.poll(measured, { timeout: 30_000 }).toBe(running);
    expect(find('agent_stacks_running_seconds')).toMatchObject({ type: 'histogram', unit: 's' });
    expect(find('agent_stacks_agents')).toMatchObject({ type: 'gauge' });
    expect(find('agent_stacks_engine_processes')).toMatchObject({ type: 'gauge' });
    expect(find('agent_stacks_stripe_events')).toMatchObject({ type: 'sum' });
  }, 60_000);
}
