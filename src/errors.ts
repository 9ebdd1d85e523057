/**
 * Errors named by what the caller does about them. Each vendor's client translates its errors into these once
 * and keeps the original as `cause`.
 */

/** Retrying may help: a time-out, a temporary refusal, a fault on the other side. */
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

/** Default pause if the other side asks for patience without a duration. */
const RATE_LIMIT_SECONDS = 60;

/**
 * The other side asks for patience, usually because a request quota is spent. An immediate retry would waste
 * the tries.
 */
export class RateLimitedError extends RetryableError {
  override name = 'RateLimitedError';
  /** How long to wait from now on. */
  readonly seconds: number;

  constructor(message: string, { seconds = RATE_LIMIT_SECONDS, ...options }: PatienceOptions = {}) {
    super(message, options);
    this.seconds = seconds;
  }
}

type PatienceOptions = ErrorOptions & { seconds?: number | undefined };

/**
 * Retrying cannot help until a person changes something: an invalid token, a request refused for its content.
 */
export class PermanentError extends Error {
  override name = 'PermanentError';
}

/** The attempt is no longer ours: its process died, its lease expired, or another attempt began. */
export class LostError extends Error {
  override name = 'LostError';
}

/** A person cancelled the work. */
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

/** The requested object does not exist (HTTP 404). */
export class NotFoundError extends Error {
  override name = 'NotFoundError';
}

/** The input is invalid (HTTP 400); `message` says what is wrong and where. */
export class InvalidInputError extends Error {
  override name = 'InvalidInputError';
}

/** Returns the message of anything thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
