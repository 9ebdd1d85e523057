import type { RequestHandler, Response } from 'express';
import type { Database } from '../database/connect.ts';
import { recordSpans } from '../operations/traces/record-spans.ts';
import { observeWebhook } from '../telemetry/process-metrics.ts';

/** Measures how long the answers of this route take. */
export function measured(route: string): RequestHandler {
  return (_request, response, next) => {
    const begun = { startedAt: Date.now(), clock: performance.now() };
    response.locals.begun = begun.startedAt;
    response.once('finish', () =>
      observeWebhook(route, response.statusCode, (performance.now() - begun.clock) / 1000),
    );
    next();
  };
}

/**
 * Records the request as a span of the operation's trace, after its answer was sent: the sender never waits
 * for it, and a span that cannot be stored is lost.
 */
export function traceRequest(
  database: Database,
  response: Response,
  request: { kind: 'webhook' | 'callback'; route: string; operationId: string; attempt?: number },
): void {
  const { kind, route, operationId, attempt = 0 } = request;
  const startedAt: unknown = response.locals.begun;
  if (typeof startedAt !== 'number') return;
  const status = response.statusCode;
  void recordSpans(database, { operationId, attempt }, [
    {
      kind,
      name: `POST ${route}`,
      startedAt,
      endedAt: Date.now(),
      outcome: status < 500 ? 'success' : 'failure',
      attributes: {
        'http.request.method': 'POST',
        'http.route': route,
        'url.path': route,
        'http.response.status_code': status,
      },
    },
  ]).catch(() => {});
}
