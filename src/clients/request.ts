import { PermanentError, RateLimitedError, RetryableError } from '../errors.ts';

/** An answer other than success, with what the API says about it. */
export class HttpError extends RetryableError {
  override name = 'HttpError';
  readonly status: number;
  /** The API's own word for what is wrong, where its body has one. */
  readonly code: string | undefined;

  constructor(status: number, message: string, code?: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The credential was refused (401), or it may not do this (403). */
export class RefusedError extends PermanentError {
  override name = 'RefusedError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Hears of every call that a client makes, to keep to a budget. */
export interface CallWatch {
  /** Before the call; what it throws keeps the call from being made. */
  begins(): void;
  /** With the answer's headers, whatever its status. */
  answered(headers: Headers): void;
}

export interface JsonRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  url: string;
  headers: Record<string, string>;
  body?: string;
  signal?: AbortSignal | undefined;
  watch?: CallWatch | undefined;
}

const TIMEOUT_SECONDS = 20;

/**
 * One HTTP call with a time limit.
 * @returns the parsed JSON, undefined for an empty answer.
 * @throws RefusedError on 401 and 403: the credentials are wrong; HttpError on any other status but 2xx; RetryableError where no answer came.
 */
export async function requestJson({
  method,
  url,
  headers,
  body,
  signal,
  watch,
}: JsonRequest): Promise<unknown> {
  watch?.begins();
  const timeout = AbortSignal.timeout(TIMEOUT_SECONDS * 1000);
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    });
    text = await response.text();
  } catch (error) {
    signal?.throwIfAborted();
    throw new RetryableError(`${method} ${new URL(url).origin}: no answer (${reason(error)})`, {
      cause: error,
    });
  }
  watch?.answered(response.headers);
  if (response.ok) return text === '' ? undefined : JSON.parse(text);
  const message = `${method} ${new URL(url).pathname}: ${response.status} ${apiMessage(text)}`;
  if (response.status === 429) throw new RateLimitedError(message);
  if (response.status === 401 || response.status === 403) throw new RefusedError(response.status, message);
  throw new HttpError(response.status, message, apiCode(text));
}

function reason(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error ? cause.message : String(cause);
}

interface ApiError {
  message?: string;
  code?: string;
}

/** The message in an error body: Hetzner's `error.message` and `error.code`, Tailscale's and GitHub's `message`, our own `error`. */
function apiMessage(text: string): string {
  try {
    const body = JSON.parse(text) as { message?: string; error?: string | ApiError };
    if (typeof body.error === 'string') return body.error;
    if (body.error?.message) return `${body.error.message} (${body.error.code ?? 'error'})`;
    return body.message ?? '';
  } catch {
    return '';
  }
}

function apiCode(text: string): string | undefined {
  try {
    const code = (JSON.parse(text) as { error?: { code?: unknown } } | null)?.error?.code;
    return typeof code === 'string' ? code : undefined;
  } catch {
    return undefined;
  }
}
