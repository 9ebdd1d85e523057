import { z } from 'zod';
import type { Secret } from '../secret.ts';
import type { EnvironmentReader } from './environment-reader.ts';
import { endpointUrl, oneLine, port } from './fields.ts';
import { isLoopback } from './rehearsal-endpoints.ts';

/** Where traces and metrics are sent, as OpenTelemetry's own variables say it. */
export interface OtlpConfig {
  /** The collector's base address. */
  endpoint: string;
  /** `name=value,…`; may hold a credential. */
  headers: Secret | undefined;
  serviceName: string;
  resourceAttributes: Record<string, string>;
  timeoutMs: number;
  metricIntervalMs: number;
}

export interface TelemetryConfig {
  /** Undefined: nothing is sent, and nothing of OpenTelemetry is loaded. */
  otlp: OtlpConfig | undefined;
  /** A port on which a worker serves its own metrics; undefined: none. */
  metricsPort: number | undefined;
}

const milliseconds = (smallest: number, largest: number) =>
  z
    .string()
    .regex(/^\d{1,7}$/, 'must be a number of milliseconds')
    .transform(Number)
    .refine((value) => value >= smallest && value <= largest, `must be from ${smallest} to ${largest}`);

const pairs = z
  .string()
  .max(2_000)
  .regex(
    /^\s*[\w.-]+=[^,=\s]*(\s*,\s*[\w.-]+=[^,=\s]*)*\s*$/,
    'must be name=value, several separated by commas',
  );

/** Splits `name=value,…`; values may be percent-encoded. */
export function toPairs(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split(',').map((pair) => {
      const [name = '', value = ''] = pair.trim().split('=');
      return [name, decoded(value)];
    }),
  );
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function readTelemetry(reader: EnvironmentReader): TelemetryConfig {
  const endpoint = reader.read('OTEL_EXPORTER_OTLP_ENDPOINT', endpointUrl);
  const metricsPort = reader.read('METRICS_PORT', port);
  if (endpoint === undefined || reader.text('OTEL_SDK_DISABLED')?.toLowerCase() === 'true')
    return { otlp: undefined, metricsPort };
  if (reader.text('OTEL_EXPORTER_OTLP_PROTOCOL') === 'grpc')
    reader.problems.push(
      'OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not supported: name the collector’s HTTP port (4318) and http/json',
    );
  const attributes = reader.read('OTEL_RESOURCE_ATTRIBUTES', pairs);
  return {
    metricsPort,
    otlp: {
      endpoint,
      headers: reader.secret('OTEL_EXPORTER_OTLP_HEADERS', pairs),
      serviceName: reader.read('OTEL_SERVICE_NAME', oneLine) ?? 'agent-stacks',
      resourceAttributes: attributes === undefined ? {} : toPairs(attributes),
      timeoutMs: reader.read('OTEL_EXPORTER_OTLP_TIMEOUT', milliseconds(100, 60_000)) ?? 10_000,
      metricIntervalMs: reader.read('OTEL_METRIC_EXPORT_INTERVAL', milliseconds(1_000, 600_000)) ?? 60_000,
    },
  };
}

/** Sandbox mode calls nothing outside this machine: another collector is left out, with a notice. */
export function onlyLoopback(telemetry: TelemetryConfig): { telemetry: TelemetryConfig; notices: string[] } {
  const { otlp } = telemetry;
  if (otlp === undefined || isLoopback(new URL(otlp.endpoint).hostname)) return { telemetry, notices: [] };
  const notice = 'Sandbox mode ignores OTEL_EXPORTER_OTLP_ENDPOINT: it is not on this machine.';
  return { telemetry: { ...telemetry, otlp: undefined }, notices: [notice] };
}
