import { RetryableError } from '../errors.ts';

/**
 * Runs `work` and settles no later than `seconds` from now, or as soon as `signal` aborts, whatever the work makes of the signal that it
 * is handed: an answer that never comes must not hold up whoever waits for it. The work's signal aborts in any case once this has
 * settled, so that no connection outlives the call.
 * @throws RetryableError where the time is up; the signal's reason where it has aborted; whatever the work throws
 */
export async function withDeadline<T>(
  { seconds, signal }: { seconds: number; signal?: AbortSignal | undefined },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const own = new AbortController();
  const cut = Promise.withResolvers<never>();
  const abort = (reason: unknown) => {
    cut.reject(reason);
    own.abort(reason);
  };
  const onAbort = () => abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  // Not AbortSignal.timeout or .any: what only they hold on to may be collected before it fires.
  const timer = setTimeout(
    () => abort(new RetryableError(`it took longer than ${seconds} s`)),
    seconds * 1000,
  );
  try {
    return await Promise.race([cut.promise, work(own.signal)]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    own.abort();
  }
}
