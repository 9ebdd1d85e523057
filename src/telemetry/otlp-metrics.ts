import { type HrTime, ValueType } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type Histogram,
  type MetricData,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics';
import type { Family, Sample } from './families.ts';
import { withConventions } from './otlp-conventions.ts';

const SCOPE = { name: 'agent-stacks' };

/** When this process began to count. */
const BEGAN = toHrTime(Date.now());

/** Returns metrics as OpenTelemetry's exporter takes them. */
export function toResourceMetrics(families: readonly Family[], resource: Resource): ResourceMetrics {
  const now = toHrTime(Date.now());
  const metrics = withConventions(families)
    .filter(({ samples }) => samples.length > 0)
    .map((family) =>
      toMetric(family, (value, attributes) => ({ startTime: BEGAN, endTime: now, attributes, value })),
    );
  return { resource, scopeMetrics: [{ scope: SCOPE, metrics }] };
}

type MakePoint = <T>(value: T, attributes: Record<string, string>) => DataPoint<T>;

function toMetric(family: Family, point: MakePoint): MetricData {
  const shared = {
    descriptor: {
      name: family.name.replace(/_total$/, ''),
      description: family.help,
      unit: UNITS.find(([ending]) => family.name.endsWith(ending))?.[1] ?? '',
      valueType: ValueType.DOUBLE,
    },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  const numbers = () => family.samples.map(({ labels, value }) => point(value, labels));
  if (family.type === 'gauge')
    return { ...shared, dataPointType: DataPointType.GAUGE, dataPoints: numbers() };
  if (family.type === 'counter')
    return { ...shared, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints: numbers() };
  const dataPoints = toHistograms(family.samples).map(({ labels, histogram }) => point(histogram, labels));
  return { ...shared, dataPointType: DataPointType.HISTOGRAM, dataPoints };
}

const UNITS: [string, string][] = [
  ['_seconds', 's'],
  ['.duration', 's'],
  ['_seconds_total', 's'],
  ['_bytes', 'By'],
];

/** Prometheus counts what is below each bound; OTLP what is between two of them. */
function toHistograms(
  samples: readonly Sample[],
): { labels: Record<string, string>; histogram: Histogram }[] {
  const rows = new Map<string, { labels: Record<string, string>; samples: Sample[] }>();
  for (const sample of samples) {
    const { le: _, ...labels } = sample.labels;
    const key = JSON.stringify(Object.entries(labels).sort());
    const row = rows.get(key) ?? { labels, samples: [] };
    row.samples.push(sample);
    rows.set(key, row);
  }
  return [...rows.values()].map(({ labels, samples: own }) => ({ labels, histogram: toHistogram(own) }));
}

function toHistogram(samples: readonly Sample[]): Histogram {
  const buckets = samples.filter(({ suffix }) => suffix === '_bucket');
  const find = (suffix: string) => samples.find((sample) => sample.suffix === suffix)?.value ?? 0;
  return {
    buckets: {
      boundaries: buckets.flatMap(({ labels }) => (labels.le === '+Inf' ? [] : [Number(labels.le)])),
      counts: buckets.map(({ value }, index) => value - (buckets[index - 1]?.value ?? 0)),
    },
    sum: find('_sum'),
    count: find('_count'),
  };
}

/** Seconds and nanoseconds. */
function toHrTime(milliseconds: number): HrTime {
  return [Math.trunc(milliseconds / 1000), (milliseconds % 1000) * 1e6];
}
