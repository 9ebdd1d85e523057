import { PermanentError, RateLimitedError, RetryableError } from '../errors.ts';
import { HttpError } from '../http-client/request.ts';

/** The resource is protected (423 `protected`); only a person can remove the protection, at Hetzner. */
export class ProtectedError extends PermanentError {}

/** Another action on the resource runs (423 `locked`, or any other 423). */
export class LockedError extends RetryableError {}

/** Hetzner started an action and reports that it failed. */
export class ActionFailedError extends RetryableError {}

const LOCKED = 423;

/** Translates Hetzner's error answers to our errors; passes other errors through. */
export function hetznerError(error: unknown): unknown {
  if (!(error instanceof HttpError) || error.status !== LOCKED) return error;
  const Class = error.code === 'protected' ? ProtectedError : LockedError;
  return new Class(error.message, { cause: error });
}

const begun = new WeakSet<object>();

/** Marks an error from waiting for a started action: Hetzner did not refuse the action itself. */
export function afterBegun(error: unknown): unknown {
  if (typeof error === 'object' && error !== null) begun.add(error);
  return error;
}

/**
 * Whether Hetzner has certainly not executed the call. An unanswered call, or one with a 5xx answer, may have
 * been executed.
 */
export function wasRefused(error: unknown): boolean {
  if (typeof error === 'object' && error !== null && begun.has(error)) return false;
  if (error instanceof HttpError) return error.status < 500;
  return [PermanentError, RateLimitedError, LockedError, ActionFailedError].some(
    (Class) => error instanceof Class,
  );
}
