import { type HrTime, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import type { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import type { Resource } from '@opentelemetry/resources';
import type { Trace, TraceSpan } from './span.ts';

type ReadableSpans = Parameters<OTLPTraceExporter['export']>[0];

const SCOPE = { name: 'agent-stacks' };

/** Returns traces as OpenTelemetry's exporter takes them. */
export function toReadableSpans(traces: readonly Trace[], resource: Resource): ReadableSpans {
  return traces.flatMap(({ traceId, spans }) => spans.map((span) => toReadable(traceId, span, resource)));
}

function toReadable(traceId: string, span: TraceSpan, resource: Resource): ReadableSpans[number] {
  const contextOf = (spanId: string) => ({ traceId, spanId, traceFlags: TraceFlags.SAMPLED });
  const startTime = toHrTime(span.startedAt.getTime());
  const endTime = toHrTime(span.endedAt.getTime());
  return {
    name: span.name,
    kind: span.role === 'server' ? SpanKind.SERVER : SpanKind.INTERNAL,
    spanContext: () => contextOf(span.spanId),
    ...(span.parentId !== undefined && { parentSpanContext: contextOf(span.parentId) }),
    startTime,
    endTime,
    duration: toHrTime(span.endedAt.getTime() - span.startedAt.getTime()),
    status: { code: span.isError ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
    attributes: span.attributes,
    links: [],
    events: [],
    ended: true,
    resource,
    instrumentationScope: SCOPE,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

/** Seconds and nanoseconds. */
function toHrTime(milliseconds: number): HrTime {
  const seconds = Math.trunc(milliseconds / 1000);
  return [seconds, Math.round((milliseconds - seconds * 1000) * 1e6)];
}
