import { STATUS_CODES } from 'node:http';
import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import { isDatabaseUnavailable } from '../database/connect.ts';
import { ConflictError, errorMessage, InvalidInputError, NotFoundError, StateLostError } from '../errors.ts';
import { type Log, shortened } from '../log.ts';
import { type ProblemName, problemNameFor, problemType } from './problems.ts';

/** An error that only HTTP knows: not signed in, wrong method, wrong media type. */
export class HttpError extends Error {
  override name = 'HttpError';
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly problem: ProblemName;

  /** `problem` is needed where the status alone does not say which. */
  constructor(
    status: number,
    detail: string,
    headers: Record<string, string> = {},
    problem: ProblemName = problemNameFor(status),
  ) {
    super(detail);
    this.status = status;
    this.headers = headers;
    this.problem = problem;
  }
}

export interface Refusal {
  status: number;
  detail: string;
  headers: Record<string, string>;
  /** Default: what the status stands for. */
  problem?: ProblemName;
}

const DATABASE_RETRY_SECONDS = 5;
const LOST_RETRY_SECONDS = 60;
const LONGEST_PATH = 200;

/** Maps an error to a public answer; the text of an unexpected error stays in the log. */
export function toRefusal(error: unknown): Refusal {
  if (error instanceof HttpError)
    return { status: error.status, detail: error.message, headers: error.headers, problem: error.problem };
  if (error instanceof InvalidInputError) return { status: 400, detail: error.message, headers: {} };
  if (error instanceof NotFoundError) return { status: 404, detail: error.message, headers: {} };
  if (error instanceof ConflictError) return { status: 409, detail: error.message, headers: {} };
  if (error instanceof StateLostError)
    return { status: 503, detail: error.message, headers: { 'retry-after': String(LOST_RETRY_SECONDS) } };
  if (isDatabaseUnavailable(error)) {
    const headers = { 'retry-after': String(DATABASE_RETRY_SECONDS) };
    return { status: 503, detail: 'The database is unavailable; try again in a moment', headers };
  }
  return fromExpress(error) ?? { status: 500, detail: 'Internal error; see the log', headers: {} };
}

/** Express and its body parsers give client errors a status of 400 to 499. */
function fromExpress(error: unknown): Refusal | undefined {
  const { status, type } = (error ?? {}) as { status?: unknown; type?: unknown };
  if (typeof status !== 'number' || status < 400 || status > 499) return undefined;
  const detail =
    type === 'entity.parse.failed'
      ? 'The body is not JSON'
      : errorMessage(error).slice(0, 200) || 'Bad request';
  return { status, detail, headers: {} };
}

export function sendProblem(response: Response, { headers, ...refusal }: Refusal, more: object = {}): void {
  const problem = { ...toProblem(refusal), ...more };
  response.status(refusal.status).set(headers).type('application/problem+json').send(JSON.stringify(problem));
}

/** The problem document of a refusal. */
export function toProblem({ status, detail, problem = problemNameFor(status) }: Omit<Refusal, 'headers'>) {
  return { type: problemType(problem), title: STATUS_CODES[status] ?? 'Error', status, detail };
}

/** Logs what was refused and why; an unexpected error with its stack. */
export function logRefusal(
  log: Log,
  request: { method: string; path: string },
  refusal: Refusal,
  error: unknown,
) {
  const fields = {
    event: 'http.refused',
    method: request.method,
    // A URL may have 16 KB.
    path: shortened(request.path, LONGEST_PATH),
    status: refusal.status,
  };
  if (refusal.status === 500) log.error({ ...fields, err: error }, 'a request failed unexpectedly');
  else if (refusal.status > 500) log.warn({ ...fields, error: errorMessage(error) }, refusal.detail);
  else log.info(fields, refusal.detail);
}

export const notFound: RequestHandler = (request) => {
  throw new HttpError(404, `Not found: ${request.path.slice(0, 200)}`);
};

/** The last handler: turns every error into a problem document. */
export function problemHandler(log: Log): ErrorRequestHandler {
  return (error, request, response, _next) => {
    const refusal = toRefusal(error);
    logRefusal(log, request, refusal, error);
    // An event stream has already sent its headers: close it, and the client reconnects.
    if (response.headersSent) response.destroy();
    else sendProblem(response, refusal);
  };
}
