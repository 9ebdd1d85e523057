/**
 * Errors named by how the caller handles them. Each vendor's client translates its errors into these and
 * keeps the original as `cause`.
 */

/** Failures with a cure of their own (src/operations/cures.ts). */
export const LIMIT_REACHED = 'limit-reached';
export const CREDENTIAL_REFUSED = 'credential-refused';
export const SOLD_OUT = 'sold-out';
export const CONFIGURE_FAILED = 'configure-failed';
export const TAGS_REFUSED = 'tags-refused';
export const STATE_KEY_UNUSABLE = 'state-key-unusable';

/** Retrying may help, for example after a timeout, a temporary refusal or a fault on the other side. */
export class RetryableError extends Error {
  override name = 'RetryableError';
  /**
   * Names a failure that the next attempt handles, or that has a cure of its own; stored in
   * `operations.failure_code`.
   */
  readonly failureCode: string | undefined;

  constructor(message: string, { failureCode, ...options }: FailureOptions = {}) {
    super(message, options);
    this.failureCode = failureCode;
  }
}

type FailureOptions = ErrorOptions & { failureCode?: string | undefined };

/** Returns a failure's code; undefined if it has none. */
export function getFailureCode(error: unknown): string | undefined {
  const hasCode = error instanceof RetryableError || error instanceof PermanentError;
  return hasCode ? error.failureCode : undefined;
}

/** Default pause if the other side sends a rate limit without a duration. */
const RATE_LIMIT_SECONDS = 60;

/**
 * The other side asks us to back off, usually because a request quota is spent. Retrying at once would waste
 * the remaining tries.
 */
export class RateLimitedError extends RetryableError {
  override name = 'RateLimitedError';
  /** How long to wait, from now. */
  readonly seconds: number;

  constructor(message: string, { seconds = RATE_LIMIT_SECONDS, ...options }: PatienceOptions = {}) {
    super(message, options);
    this.seconds = seconds;
  }
}

type PatienceOptions = FailureOptions & { seconds?: number | undefined };

/**
 * What the work needs is not to be had at present, such as a server type that is sold out. Nothing is wrong
 * with the work: it waits, and the try does not count.
 */
export class ShortageError extends RetryableError {
  override name = 'ShortageError';
}

/**
 * Retrying cannot help until a person changes something, for example an invalid token or a rejected request.
 */
export class PermanentError extends Error {
  override name = 'PermanentError';
  /** As in RetryableError. */
  readonly failureCode: string | undefined;

  constructor(message: string, { failureCode, ...options }: FailureOptions = {}) {
    super(message, options);
    this.failureCode = failureCode;
  }
}

/** The attempt is no longer ours: its process died, its lease expired, or another attempt began. */
export class LostError extends Error {
  override name = 'LostError';
}

/** A person cancelled the work. */
export class CancelledError extends Error {
  override name = 'CancelledError';
}

const REPORTED = { PermanentError, LostError, CancelledError, RateLimitedError, ShortageError };

/** An error as another process reports it. */
export interface ReportedError {
  name: string;
  message: string;
  /** The seconds of a RateLimitedError. */
  seconds?: number | undefined;
  /** The failure's code, if it has one. */
  code?: string | undefined;
}

/** Converts an error for another process. It carries our class's name, never that of a vendor's class. */
export function reportError(error: unknown): ReportedError {
  const known = Object.entries(REPORTED).find(([, Known]) => error instanceof Known);
  const code = getFailureCode(error);
  return {
    name: known?.[0] ?? 'RetryableError',
    message: errorMessage(error),
    ...(error instanceof RateLimitedError && { seconds: error.seconds }),
    ...(code !== undefined && { code }),
  };
}

/** Restores the error that another process reported. An unknown name becomes a RetryableError. */
export function reportedError({ name, message, seconds, code }: ReportedError): Error {
  if (name === 'RateLimitedError') return new RateLimitedError(message, { seconds, failureCode: code });
  if (name === 'PermanentError') return new PermanentError(message, { failureCode: code });
  if (name === 'ShortageError') return new ShortageError(message, { failureCode: code });
  const Known = Object.hasOwn(REPORTED, name) ? REPORTED[name as keyof typeof REPORTED] : undefined;
  return Known === undefined ? new RetryableError(message, { failureCode: code }) : new Known(message);
}

/** The request conflicts with the current state (HTTP 409). */
export class ConflictError extends Error {
  override name = 'ConflictError';
}

/** A lost database is being rebuilt: a later try may succeed (HTTP 503). */
export class StateLostError extends RetryableError {
  override name = 'StateLostError';
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
