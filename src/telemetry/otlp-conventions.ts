import { type Family, PREFIX } from './families.ts';
import { PIPELINE_RESULTS } from './span.ts';

/** A metric of ours under the name and with the attributes that OpenTelemetry's conventions give it. */
interface Convention {
  from: string;
  name: string;
  help: string;
  attributes(labels: Record<string, string>): Record<string, string>;
}

const RUN_DURATION = {
  name: 'cicd.pipeline.run.duration',
  help: 'Duration of operations by state and result',
};

/**
 * @see https://opentelemetry.io/docs/specs/semconv/cicd/cicd-metrics/
 * @see https://opentelemetry.io/docs/specs/semconv/http/http-metrics/
 */
const CONVENTIONS: Convention[] = [
  {
    from: 'queue_wait_seconds',
    ...RUN_DURATION,
    attributes: ({ kind = '' }) => ({ 'cicd.pipeline.name': kind, 'cicd.pipeline.run.state': 'pending' }),
  },
  {
    from: 'operation_execution_seconds',
    ...RUN_DURATION,
    attributes: ({ kind = '', outcome = '' }) => ({
      'cicd.pipeline.name': kind,
      'cicd.pipeline.run.state': 'executing',
      'cicd.pipeline.result': PIPELINE_RESULTS[outcome] ?? outcome,
      ...(outcome === 'failed' && { 'error.type': '_OTHER' }),
    }),
  },
  {
    from: 'webhook_duration_seconds',
    name: 'http.server.request.duration',
    help: 'Duration of answers to webhooks and runners',
    attributes: ({ route = '', status = '' }) => ({
      'http.request.method': 'POST',
      'http.route': route,
      'http.response.status_code': status,
      'url.scheme': 'http',
      ...(status.startsWith('5') && { 'error.type': status }),
    }),
  },
];

/** Returns metrics with those that conventions name too, under these names. */
export function withConventions(families: readonly Family[]): Family[] {
  const named = new Map<string, Family>();
  for (const { from, name, help, attributes } of CONVENTIONS) {
    const family = families.find((one) => one.name === `${PREFIX}${from}`);
    if (family === undefined) continue;
    const samples = family.samples.map(({ labels: { le, ...labels }, ...sample }) => ({
      ...sample,
      labels: { ...attributes(labels), ...(le !== undefined && { le }) },
    }));
    const known = named.get(name)?.samples ?? [];
    named.set(name, { name, help, type: family.type, samples: [...known, ...samples] });
  }
  return [...families, ...named.values()];
}
