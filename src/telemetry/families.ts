/** A value of a metric. */
export interface Sample {
  labels: Record<string, string>;
  value: number;
  /** Appended to the metric's name, as histograms require: `_bucket`, `_sum`, `_count`. */
  suffix?: string | undefined;
}

/** A metric with all its values. */
export interface Family {
  name: string;
  type: 'counter' | 'gauge' | 'histogram';
  help: string;
  samples: readonly Sample[];
}

/** Every metric's name begins with it. */
export const PREFIX = 'agent_stacks_';

/**
 * Formats a metric as Prometheus reads it.
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export function formatFamily({ name, type, help, samples }: Family): string {
  const lines = samples.map(({ labels, value, suffix = '' }) => {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}=${JSON.stringify(text)}`);
    return `${name}${suffix}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

/** A histogram's counts, not cumulative yet, as they are kept. */
export interface Bucketed {
  labels: Record<string, string>;
  /** By upper bound; `+Inf` beyond the last one. */
  counts: ReadonlyMap<string, number>;
  sum: number;
}

/** Makes the samples of a histogram with these upper bounds. */
export function histogramSamples(bounds: readonly number[], rows: readonly Bucketed[]): Sample[] {
  return rows.flatMap(({ labels, counts, sum }) => {
    let total = 0;
    const buckets = [...bounds.map(String), '+Inf'].map((le) => {
      total += counts.get(le) ?? 0;
      return { suffix: '_bucket', labels: { ...labels, le }, value: total };
    });
    return [...buckets, { suffix: '_sum', labels, value: sum }, { suffix: '_count', labels, value: total }];
  });
}
