import { expect, it } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { toPairs } from '../../src/config/telemetry.ts';

const ENDPOINT = 'OTEL_EXPORTER_OTLP_ENDPOINT';

it('sends nothing unless a collector is named', () => {
  expect(readConfig({}).telemetry).toEqual({ otlp: undefined, metricsPort: undefined });
  expect(readConfig({ [ENDPOINT]: 'http://127.0.0.1:4318', OTEL_SDK_DISABLED: 'true' }).telemetry.otlp).toBe(
    undefined,
  );
});

it('reads OpenTelemetry’s own variables', () => {
  const { telemetry } = readConfig({
    [ENDPOINT]: 'http://localhost:4318/',
    OTEL_SERVICE_NAME: 'agents',
    OTEL_RESOURCE_ATTRIBUTES: 'a=1, b=two%20words',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20secret',
    METRICS_PORT: '9464',
  });
  expect(telemetry).toMatchObject({
    metricsPort: 9464,
    otlp: {
      endpoint: 'http://localhost:4318',
      serviceName: 'agents',
      resourceAttributes: { a: '1', b: 'two words' },
      timeoutMs: 10_000,
      metricIntervalMs: 60_000,
    },
  });
  expect(JSON.stringify(telemetry)).not.toContain('secret');
  expect(toPairs(telemetry.otlp!.headers!.reveal())).toEqual({ authorization: 'Bearer secret' });
});

it('calls nothing outside this machine in sandbox mode, and says so', () => {
  const config = readConfig({ [ENDPOINT]: 'https://collector.example.com' });
  expect(config.telemetry.otlp).toBeUndefined();
  expect(config.notices.join()).toContain(ENDPOINT);
});

it.each([
  [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'http/json'],
  [{ OTEL_EXPORTER_OTLP_HEADERS: 'no pair' }, 'OTEL_EXPORTER_OTLP_HEADERS'],
  [{ OTEL_EXPORTER_OTLP_TIMEOUT: '1' }, 'OTEL_EXPORTER_OTLP_TIMEOUT'],
  [{ METRICS_PORT: '99999' }, 'METRICS_PORT'],
])('refuses %j', (variables, problem) => {
  expect(() => readConfig({ [ENDPOINT]: 'http://127.0.0.1:4318', ...variables })).toThrow(problem);
});
