import { createHash } from 'node:crypto';
import { traceIdFor } from '../log.ts';

/**
 * Derives a span's id from what it is about (`attempt/2`, `step/7`). Nothing has to be stored or handed on:
 * a process that takes over after a kill continues the same trace, and a repeated export changes nothing.
 */
export function spanIdFor(operationId: string, what: string): string {
  return createHash('sha256').update(`${operationId}/${what}`).digest('hex').slice(0, 16);
}

/**
 * The context of an attempt, for its child processes, as W3C Trace Context writes it.
 * @see https://www.w3.org/TR/trace-context/#traceparent-header
 */
export function traceparentFor(operationId: string, attempt: number): string {
  return `00-${traceIdFor(operationId)}-${spanIdFor(operationId, `attempt/${attempt}`)}-01`;
}
