import Stripe from 'stripe';
import { errorMessage, PermanentError, RateLimitedError, RetryableError } from '../errors.ts';
import { oneLine } from '../http-client/answer.ts';
import { type CallLimits, exchange } from '../http-client/exchange.ts';
import { laterSeconds } from '../http-client/later.ts';
import type { Secret } from '../secret.ts';

/**
 * The form of the answers that this code was written for. It is sent with every call, so neither the
 * account's default nor a new version of the package changes what we read.
 */
export const STRIPE_API_VERSION = '2026-10-28.endive';

/** Stripe does not know the object. Another account's objects and those of the other mode look the same. */
export class StripeMissingError extends PermanentError {
  override name = 'StripeMissingError';
}

export interface StripeAccount extends CallLimits {
  secretKey: Secret;
  /** Undefined for Stripe's own API. */
  apiUrl: string | undefined;
}

/**
 * Creates Stripe's client on top of calls that are bounded in time and size. It never retries, because only
 * the caller knows what a failure costs. `askStripe` translates its errors to ours.
 */
export function createStripe({ secretKey, apiUrl, timeoutSeconds }: StripeAccount): Stripe {
  const api = apiUrl === undefined ? undefined : new URL(apiUrl);
  return new Stripe(secretKey.reveal(), {
    apiVersion: STRIPE_API_VERSION,
    ...(api && { host: api.hostname, port: api.port, protocol: api.protocol === 'http:' ? 'http' : 'https' }),
    httpClient: Stripe.createFetchHttpClient(boundedFetch({ timeoutSeconds })),
    maxNetworkRetries: 0,
    telemetry: false,
  });
}

function boundedFetch({ timeoutSeconds }: CallLimits): typeof fetch {
  return async (url, { method = 'GET', headers, body, signal } = {}) => {
    const answer = await exchange({
      method,
      url: String(url),
      headers: Object.fromEntries(new Headers(headers)),
      body: typeof body === 'string' && body !== '' ? body : undefined,
      signal: signal ?? undefined,
      vendor: 'stripe',
      timeoutSeconds,
    });
    return new Response(answer.text === '' ? null : answer.text, answer);
  };
}

/** Awaits a call of Stripe's library. @throws one of our own errors */
export async function askStripe<T extends { object: string }>(call: Promise<T>): Promise<T> {
  let answer: T;
  try {
    answer = await call;
  } catch (error) {
    throw stripeError(error);
  }
  if (typeof answer?.object !== 'string') throw new RetryableError('Stripe sent an unexpected answer');
  return answer;
}

function stripeError(cause: unknown): Error {
  const message = `Stripe: ${oneLine(errorMessage(cause))}`;
  if (!(cause instanceof Stripe.errors.StripeError)) return new RetryableError(message, { cause });
  const status = cause.statusCode ?? 0;
  const headers = new Headers(cause.headers ?? {});
  const seconds = laterSeconds({ status, headers, message });
  if (seconds !== undefined) return new RateLimitedError(message, { cause, seconds });
  // A 404 without this code is a wrong address or a proxy, which says nothing about the object.
  if (status === 404 && cause.code === 'resource_missing') return new StripeMissingError(message, { cause });
  return [400, 401, 402, 403, 404].includes(status)
    ? new PermanentError(message, { cause })
    : new RetryableError(message, { cause });
}
