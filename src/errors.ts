/**
 * Errors named by what the caller does about them. Each vendor's client translates its errors into these once
 * and keeps the original as `cause`.
 */

/** Retrying may help: a time-out, a temporary refusal, a fault on the other side. */
export class RetryableError extends Error {
  override name = 'RetryableError';
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

/** The request conflicts with the current state (HTTP 409). */
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
