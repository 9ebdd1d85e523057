import { afterEach, beforeEach, expect, it } from 'vitest';
import { histogramSamples } from '../../src/telemetry/families.ts';
import { type Otlp, openOtlp } from '../../src/telemetry/otlp.ts';
import { type Collector, startCollector } from '../support/otlp-collector.ts';

let collector: Collector;
let otlp: Otlp;
beforeEach(async () => {
  collector = await startCollector();
  const config = {
    endpoint: collector.endpoint,
    headers: undefined,
    serviceName: 'x',
    resourceAttributes: {},
    timeoutMs: 1_000,
    metricIntervalMs: 1_000,
  };
  otlp = await openOtlp(config, { role: 'worker', instanceId: 'i', version: '1' });
});
afterEach(async () => {
  await otlp.stop();
  await collector.close();
});

it('sends gauges, counters and histograms, whose buckets count what is between two bounds', async () => {
  const counts = new Map([
    ['1', 2],
    ['+Inf', 3],
  ]);
  await otlp.sendMetrics([
    { name: 'a_g', type: 'gauge', help: 'G', samples: [{ labels: { k: 'v' }, value: 4 }] },
    { name: 'a_c_total', type: 'counter', help: 'C', samples: [{ labels: {}, value: 7 }] },
    { name: 'a_nothing', type: 'gauge', help: 'N', samples: [] },
    {
      name: 'a_h_seconds',
      type: 'histogram',
      help: 'H',
      samples: histogramSamples([1, 2.5], [{ labels: { way: 'cold' }, counts, sum: 9.5 }]),
    },
  ]);
  expect(collector.metrics.map(({ name, type, unit }) => [name, type, unit])).toEqual([
    ['a_g', 'gauge', ''],
    ['a_c', 'sum', ''],
    ['a_h_seconds', 'histogram', 's'],
  ]);
  const [gauge, counter, histogram] = collector.metrics;
  expect(gauge?.dataPoints[0]).toMatchObject({ asDouble: 4 });
  expect(counter?.dataPoints[0]).toMatchObject({ asDouble: 7 });
  const [point] = histogram!.dataPoints;
  expect(point).toMatchObject({ explicitBounds: [1, 2.5], sum: 9.5 });
  expect([point.bucketCounts.map(Number), Number(point.count)]).toEqual([[2, 0, 3], 5]);
});

it('sends what OpenTelemetry has a name for under that name too', async () => {
  const counts = new Map([['1', 1]]);
  const histogram = (name: string, rows: Record<string, string>[]) => ({
    name: `agent_stacks_${name}`,
    type: 'histogram' as const,
    help: '',
    samples: histogramSamples(
      [1],
      rows.map((labels) => ({ labels, counts, sum: 0.5 })),
    ),
  });
  await otlp.sendMetrics([
    histogram('queue_wait_seconds', [{ kind: 'stop' }]),
    histogram('operation_execution_seconds', [{ kind: 'stop', outcome: 'failed' }]),
    histogram('webhook_duration_seconds', [{ route: '/api/webhooks/stripe', status: '200' }]),
  ]);
  const attributesOf = (name: string) =>
    collector.metrics
      .find((metric) => metric.name === name)
      ?.dataPoints.map(({ attributes }) =>
        Object.fromEntries(
          attributes.map(({ key, value }: { key: string; value: { stringValue: string } }) => [
            key,
            value.stringValue,
          ]),
        ),
      );
  expect(attributesOf('cicd.pipeline.run.duration')).toEqual([
    { 'cicd.pipeline.name': 'stop', 'cicd.pipeline.run.state': 'pending' },
    {
      'cicd.pipeline.name': 'stop',
      'cicd.pipeline.run.state': 'executing',
      'cicd.pipeline.result': 'failure',
      'error.type': '_OTHER',
    },
  ]);
  expect(attributesOf('http.server.request.duration')).toMatchObject([
    { 'http.route': '/api/webhooks/stripe', 'http.response.status_code': '200' },
  ]);
  expect(collector.metrics.map(({ unit }) => unit)).toEqual(['s', 's', 's', 's', 's']);
});

it('says that a collector does not take it', async () => {
  collector.become('down');
  await expect(
    otlp.sendMetrics([{ name: 'a', type: 'gauge', help: '', samples: [{ labels: {}, value: 1 }] }]),
  ).rejects.toThrow();
});
