import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type Family, PREFIX } from './families.ts';
import { observeCallsWith } from './observations.ts';

/** What this process alone sees. What the database knows is counted there (src/http/metrics). */
const registry = new Registry();
const registers = [registry];

const webhooks = new Histogram({
  name: `${PREFIX}webhook_duration_seconds`,
  help: 'Time to answer a webhook or a runner’s message',
  labelNames: ['route', 'status'],
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  registers,
});

const calls = new Histogram({
  name: `${PREFIX}vendor_call_duration_seconds`,
  help: 'Calls to Hetzner, Tailscale, Stripe and GitHub: their number and how long they took',
  labelNames: ['vendor', 'method', 'outcome'],
  buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20],
  registers,
});

const quota = new Gauge({
  name: `${PREFIX}hetzner_quota_remaining`,
  help: 'Requests that Hetzner still allows a project now, as its last answer said',
  labelNames: ['project'],
  registers,
});

const quotaLimit = new Gauge({
  name: `${PREFIX}hetzner_quota_limit`,
  help: 'Requests an hour that Hetzner allows a project',
  labelNames: ['project'],
  registers,
});

export function observeWebhook(route: string, status: number, seconds: number): void {
  webhooks.observe({ route, status: String(status) }, seconds);
}

observeCallsWith(({ vendor, account, method, status, seconds, headers }) => {
  calls.observe({ vendor, method, outcome: outcomeOf(status) }, seconds);
  if (vendor === 'hetzner' && headers !== undefined) observeHetznerQuota(account ?? 'default', headers);
});

function outcomeOf(status: number | undefined): string {
  if (status === undefined) return 'no_answer';
  if (status === 429) return 'rate_limited';
  return status < 400 ? 'ok' : status < 500 ? 'refused' : 'server_error';
}

/** @see https://docs.hetzner.cloud/reference/cloud#rate-limiting */
function observeHetznerQuota(project: string, headers: Headers): void {
  const read = (name: string) => Number.parseInt(headers.get(name) ?? '', 10);
  const [limit, remaining] = [read('ratelimit-limit'), read('ratelimit-remaining')];
  if (limit >= 0) quotaLimit.set({ project }, limit);
  if (remaining >= 0) quota.set({ project }, remaining);
}

/** Adds a gauge whose values are read when metrics are asked for. */
export function addGauge(
  { name, help, label }: { name: string; help: string; label: string },
  read: () => Record<string, number>,
): void {
  registry.removeSingleMetric(`${PREFIX}${name}`);
  new Gauge({
    name: `${PREFIX}${name}`,
    help,
    labelNames: [label],
    registers,
    collect() {
      this.reset();
      for (const [key, value] of Object.entries(read())) this.set({ [label]: key }, value);
    },
  });
}

const EVENT_LOOP_PRECISION_MS = 20;

/** Adds what Node tells of itself: memory, processor time, event loop, garbage collection. */
export function addNodeMetrics(): void {
  collectDefaultMetrics({
    register: registry,
    prefix: PREFIX,
    eventLoopMonitoringPrecision: EVENT_LOOP_PRECISION_MS,
  });
}

interface PromValue {
  value: number;
  labels: Record<string, string | number>;
  metricName?: string;
}

/** Returns the metrics of this process. */
export async function readProcessFamilies(): Promise<Family[]> {
  const metrics = (await registry.getMetricsAsJSON()) as unknown as {
    name: string;
    help: string;
    type: string;
    values: PromValue[];
  }[];
  // Three sums of Node's have a counter's name and are none; each has its parts under another name.
  const isMisnamed = (type: string, name: string) => type === 'gauge' && name.endsWith('_total');
  const wellNamed = metrics.filter(({ type, name }) => !isMisnamed(type, name));
  return wellNamed.map(({ name, help, type, values }) => ({
    name,
    help,
    type: type === 'counter' || type === 'histogram' ? type : 'gauge',
    // A mean of nothing is no number, which OTLP's JSON cannot say.
    samples: values
      .filter(({ value }) => Number.isFinite(value))
      .map(({ value, labels, metricName }) => ({
        labels: Object.fromEntries(Object.entries(labels).map(([key, label]) => [key, String(label)])),
        value,
        suffix: metricName?.slice(name.length),
      })),
  }));
}
