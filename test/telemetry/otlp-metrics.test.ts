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

it('says that a collector does not take it', async () => {
  collector.become('down');
  await expect(
    otlp.sendMetrics([{ name: 'a', type: 'gauge', help: '', samples: [{ labels: {}, value: 1 }] }]),
  ).rejects.toThrow();
});
