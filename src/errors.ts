/**
 * Errors by what the caller does about them. Every vendor's errors become one of these once, in that vendor's client;
 * the original stays as `cause`.
 */

/** Trying again may help: a time-out, a refusal for now, a fault on the other side. */
export class RetryableError extends Error {
  override name = 'RetryableError';
  /** Names the failure where the next attempt acts on it: `operations.failure_code`. */
  readonly failureCode: string | undefined;

  constructor(message: string, { failureCode, ...options }: FailureOptions = {}) {
    super(message, options);
    this.failureCode = failureCode;
  }
}

type FailureOptions = ErrorOptions & { failureCode?: string | undefined };

/** The code of a failure; undefined where nothing acts on it. */
export function failureCodeOf(error: unknown): string | undefined {
  return error instanceof RetryableError ? error.failureCode : undefined;
}

/** How long somebody is left alone who asks for patience and does not say for how long. */
const RATE_LIMIT_SECONDS = 60;

/** The other side asks for patience, most often because its quota of requests is spent. Trying again at once would spend the tries as well. */
export class RateLimitedError extends RetryableError {
  override name = 'RateLimitedError';
  /** For how long it wants to be left alone, from now on. */
  readonly seconds: number;

  constructor(message: string, { seconds = RATE_LIMIT_SECONDS, ...options }: PatienceOptions = {}) {
    super(message, options);
    this.seconds = seconds;
  }
}

type PatienceOptions = ErrorOptions & { seconds?: number | undefined };

/** Trying again cannot help before a person changes something: a wrong token, a request that is refused for what it says. */
export class PermanentError extends Error {
  override name = 'PermanentError';
}

/** The attempt is no longer ours: its process died, its lease ran out, another attempt has begun. */
export class LostError extends Error {
  override name = 'LostError';
}

/** A person asked for the work to end. */
export class CancelledError extends Error {
  override name = 'CancelledError';
}

const REPORTED = { PermanentError, LostError, CancelledError, RateLimitedError };

/** An error as another process reports it. */
export interface ReportedError {
  name: string;
  message: string;
  /** Of a RateLimitedError: for how long it wants to be left alone. */
  seconds?: number | undefined;
  /** Of a RetryableError: what the next attempt acts on. */
  code?: string | undefined;
}

/** How an error is reported to another process: by the name of our class, whatever class of a vendor's error it is. */
export function reportError(error: unknown): ReportedError {
  const known = Object.entries(REPORTED).find(([, Known]) => error instanceof Known);
  const code = failureCodeOf(error);
  return {
    name: known?.[0] ?? 'RetryableError',
    message: errorMessage(error),
    ...(error instanceof RateLimitedError && { seconds: error.seconds }),
    ...(code !== undefined && { code }),
  };
}

/** The error that another process reported; one without a name of ours may be tried again. */
export function reportedError({ name, message, seconds, code }: ReportedError): Error {
  if (name === 'RateLimitedError') return new RateLimitedError(message, { seconds });
  const Known = Object.hasOwn(REPORTED, name) ? REPORTED[name as keyof typeof REPORTED] : undefined;
  return Known === undefined ? new RetryableError(message, { failureCode: code }) : new Known(message);
}

/** What was asked for does not fit the present state (HTTP 409). */
export class ConflictError extends Error {
  override name = 'ConflictError';
}

/** What was asked for is not there (HTTP 404). */
export class NotFoundError extends Error {
  override name = 'NotFoundError';
}

/** What was sent is not valid (HTTP 400); `message` says what is wrong and where. */
export class InvalidInputError extends Error {
  override name = 'InvalidInputError';
}

/** The text of anything thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
