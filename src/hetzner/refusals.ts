import { PermanentError, RateLimitedError, RetryableError } from '../errors.ts';
import { HttpError } from '../http-client/request.ts';

/** The resource is protected against it (423 `protected`): only a person takes that away, at Hetzner. */
export class ProtectedError extends PermanentError {}

/** Another action on the resource runs (423 `locked`, and whatever else Hetzner may come to say with 423). */
export class LockedError extends RetryableError {}

/** Hetzner has begun an action, and says that it ended in an error. */
export class ActionFailedError extends RetryableError {}

const LOCKED = 423;

/** Hetzner's answer as one of our errors; what is no answer stays as it is. */
export function hetznerError(error: unknown): unknown {
  if (!(error instanceof HttpError) || error.status !== LOCKED) return error;
  const Class = error.code === 'protected' ? ProtectedError : LockedError;
  return new Class(error.message, { cause: error });
}

const begun = new WeakSet<object>();

/**
 * Remembers that an error came out of the wait for an action: whatever Hetzner refused then, it was not the
 * action.
 */
export function afterBegun(error: unknown): unknown {
  if (typeof error === 'object' && error !== null) begun.add(error);
  return error;
}

/**
 * Whether Hetzner has said that it did not do it. A call without an answer, or with a fault of the server's,
 * may have been carried out.
 */
export function wasRefused(error: unknown): boolean {
  if (typeof error === 'object' && error !== null && begun.has(error)) return false;
  if (error instanceof HttpError) return error.status < 500;
  return [PermanentError, RateLimitedError, LockedError, ActionFailedError].some(
    (Class) => error instanceof Class,
  );
}
