import type { z } from 'zod';
import {
  CREDENTIAL_REFUSED,
  LIMIT_REACHED,
  PermanentError,
  RateLimitedError,
  RetryableError,
} from '../errors.ts';
import { oneLine, parseAnswer, parseJson } from './answer.ts';
import { exchange, type HttpAnswer, type HttpCall } from './exchange.ts';
import { laterSeconds } from './later.ts';

/** An unsuccessful answer, with the API's message. */
export class HttpError extends RetryableError {
  override name = 'HttpError';
  readonly status: number;
  /** The API's error code, if the body has one. */
  readonly code: string | undefined;

  constructor(status: number, message: string, code?: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The API rejected the credential (401), or the credential lacks permission (403). */
export class RefusedError extends PermanentError {
  override name = 'RefusedError';
  readonly status: number;
  /** The API's error code, if the body has one. */
  readonly code: string | undefined;

  constructor(status: number, message: string, code?: string) {
    // Hetzner answers 403 to a project that has as many as it may have.
    super(message, { failureCode: code === 'resource_limit_exceeded' ? LIMIT_REACHED : CREDENTIAL_REFUSED });
    this.status = status;
    this.code = code;
  }
}

export interface JsonRequest extends HttpCall {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
}

/**
 * Makes one HTTP call, bounded in time and size (`exchange`).
 * @returns the parsed JSON, undefined for an empty answer.
 * @throws RefusedError on 401 and 403; RateLimitedError if the answer asks to wait; HttpError on any other
 * status but 2xx; RetryableError if no answer came, or one that is too large or not JSON.
 */
export async function requestJson(request: JsonRequest): Promise<unknown> {
  const answer = await exchange(request);
  if (answer.status < 200 || answer.status > 299) throw refusal(request, answer);
  return parseJson(answer.text, new URL(request.url).host);
}

/** Like `requestJson`, and checks the answer's shape. @throws RetryableError also if it differs */
export async function requestAs<T>(schema: z.ZodType<T>, request: JsonRequest): Promise<T> {
  return parseAnswer(schema, await requestJson(request), new URL(request.url).host);
}

function refusal({ method, url }: JsonRequest, { status, headers, text }: HttpAnswer): Error {
  const said = status >= 300 && status < 400 ? 'a redirect that is not followed' : apiMessage(text);
  const message = `${method} ${new URL(url).pathname}: ${status} ${said}`;
  const seconds = laterSeconds({ status, headers, message: said });
  if (seconds !== undefined) return new RateLimitedError(message, { seconds });
  if (status === 401 || status === 403) return new RefusedError(status, message, apiCode(text));
  return new HttpError(status, message, apiCode(text));
}

interface ApiError {
  message?: string;
  code?: string;
}

/** Returns the message of an error body: Hetzner's or our `error`, Tailscale's and GitHub's `message`. */
function apiMessage(text: string): string {
  try {
    const body = JSON.parse(text) as { message?: string; error?: string | ApiError };
    if (typeof body.error === 'string') return oneLine(body.error);
    if (body.error?.message) return `${oneLine(body.error.message)} (${oneLine(body.error.code) || 'error'})`;
    return oneLine(body.message);
  } catch {
    return '';
  }
}

function apiCode(text: string): string | undefined {
  try {
    const code = (JSON.parse(text) as { error?: { code?: unknown } } | null)?.error?.code;
    return oneLine(code) || undefined;
  } catch {
    return undefined;
  }
}
