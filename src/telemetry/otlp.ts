import { type OtlpConfig, toPairs } from '../config/telemetry.ts';
import type { Family } from './families.ts';
import type { Trace } from './span.ts';

/** Sends traces and metrics to a collector. */
export interface Otlp {
  /** @throws Error if the collector did not take it within the configured time */
  sendTraces(traces: readonly Trace[]): Promise<void>;
  /** @throws Error, as above */
  sendMetrics(families: readonly Family[]): Promise<void>;
  stop(): Promise<void>;
}

/** What a process is, for all that it sends. */
export interface Sender {
  role: string;
  instanceId: string;
  version: string;
}

/**
 * Loads OpenTelemetry's exporters and returns what sends with them. An installation without a collector never
 * loads them. Call and answer are OTLP over HTTP, as JSON.
 */
export async function openOtlp(config: OtlpConfig, sender: Sender): Promise<Otlp> {
  const [{ OTLPTraceExporter }, { OTLPMetricExporter }, { resourceFromAttributes }, spans, metrics] =
    await Promise.all([
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/exporter-metrics-otlp-http'),
      import('@opentelemetry/resources'),
      import('./otlp-spans.ts'),
      import('./otlp-metrics.ts'),
    ]);
  const resource = resourceFromAttributes({
    'service.name': config.serviceName,
    'service.version': sender.version,
    'service.instance.id': sender.instanceId,
    'agent_stacks.role': sender.role,
    ...config.resourceAttributes,
  });
  const shared = {
    headers: config.headers === undefined ? {} : toPairs(config.headers.reveal()),
    timeoutMillis: config.timeoutMs,
    // One after the other: what does not get through waits in the database, not in memory.
    concurrencyLimit: 2,
  };
  const traceExporter = new OTLPTraceExporter({ ...shared, url: `${config.endpoint}/v1/traces` });
  const metricExporter = new OTLPMetricExporter({ ...shared, url: `${config.endpoint}/v1/metrics` });
  return {
    sendTraces: (traces) =>
      exported((done) => traceExporter.export(spans.toReadableSpans(traces, resource), done)),
    sendMetrics: (families) =>
      exported((done) => metricExporter.export(metrics.toResourceMetrics(families, resource), done)),
    stop: async () => {
      await Promise.all([traceExporter.shutdown(), metricExporter.shutdown()]);
    },
  };
}

/** The interface of the exporters' callbacks. Code 0 is a success. */
type Done = (result: { code: number; error?: Error }) => void;

function exported(start: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start(({ code, error }) =>
      code === 0 ? resolve() : reject(error ?? new Error('The collector did not take it')),
    );
  });
}
