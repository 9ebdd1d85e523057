import { RetryableError } from '../errors.ts';

export interface Deadline {
  seconds: number;
  signal?: AbortSignal | undefined;
  /** How long the work may take to end after its signal has aborted; default: 0. */
  graceSeconds?: number;
}

/**
 * Runs `work` and settles within `seconds`, or as soon as `signal` aborts, even if the work ignores its own
 * signal: an answer that never comes must not block the caller. The work's signal always aborts once this has
 * settled, so that no connection outlives the call.
 * @throws RetryableError after the time limit; the signal's reason after an abort; the work's error
 */
export async function withDeadline<T>(
  { seconds, signal, graceSeconds = 0 }: Deadline,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const own = new AbortController();
  const cut = Promise.withResolvers<never>();
  let grace: NodeJS.Timeout | undefined;
  const abort = (reason: unknown) => {
    // Before the abort, so that the reason is thrown and not the work's own error.
    if (graceSeconds === 0) cut.reject(reason);
    else grace ??= setTimeout(() => cut.reject(reason), graceSeconds * 1000);
    own.abort(reason);
  };
  const onAbort = () => abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  // Not AbortSignal.timeout or .any: their signals may be garbage-collected before they fire.
  const timer = setTimeout(
    () => abort(new RetryableError(`it took longer than ${seconds} s`)),
    seconds * 1000,
  );
  try {
    return await Promise.race([cut.promise, work(own.signal)]);
  } finally {
    clearTimeout(timer);
    clearTimeout(grace);
    signal?.removeEventListener('abort', onAbort);
    own.abort();
  }
}
