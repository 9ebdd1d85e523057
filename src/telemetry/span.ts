/** What a span is about; it decides where it hangs in the trace. */
export type SpanKind = 'webhook' | 'callback' | 'run' | 'resource' | 'play' | 'task';

/** As OpenTelemetry's conventions for CI/CD name results. */
export type SpanOutcome = 'success' | 'failure' | 'skip';

/** How operations end, by their status, in the words of OpenTelemetry's conventions for CI/CD. */
export const PIPELINE_RESULTS: Record<string, string> = {
  succeeded: 'success',
  failed: 'failure',
  cancelled: 'cancellation',
};

export type SpanAttributes = Record<string, string | number>;

/**
 * Something that took time within an attempt, as the process that saw it reports it. It holds names and
 * numbers only: no message, because it may quote an address or a secret.
 */
export interface ReportedSpan {
  kind: SpanKind;
  name: string;
  /** Milliseconds since 1970, by the reporting process's clock. */
  startedAt: number;
  endedAt: number;
  outcome: SpanOutcome;
  attributes?: SpanAttributes | undefined;
}

/** Takes spans while an attempt runs; must not throw and must not block. */
export type ReportSpan = (span: ReportedSpan) => void;

/** A span of a finished trace. */
export interface TraceSpan {
  spanId: string;
  /** Undefined: the trace's first span. */
  parentId: string | undefined;
  name: string;
  /** `server`: it answers somebody's request; `internal`: a part of that. */
  role: 'server' | 'internal';
  startedAt: Date;
  endedAt: Date;
  isError: boolean;
  attributes: SpanAttributes;
}

/** All spans of one operation, parents before their children. */
export interface Trace {
  traceId: string;
  spans: TraceSpan[];
}
