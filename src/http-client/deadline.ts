import { RetryableError } from '../errors.ts';

export interface Deadline {
  seconds: number;
  signal?: AbortSignal | undefined;
  /** How long the work may take to end once its signal has aborted; default not at all. */
  graceSeconds?: number;
}

/**
 * Runs `work` and settles no later than `seconds` from now, or as soon as `signal` aborts, whatever the work
 * makes of the signal that it is handed: an answer that never comes must not hold up whoever waits for it.
 * The work's signal aborts in any case once this has settled, so that no connection outlives the call.
 * @throws RetryableError where the time is up; the signal's reason where it has aborted; whatever the work
 * throws
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
    // First this: the reason is what is thrown, not what the work makes of it.
    if (graceSeconds === 0) cut.reject(reason);
    else grace ??= setTimeout(() => cut.reject(reason), graceSeconds * 1000);
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
    clearTimeout(grace);
    signal?.removeEventListener('abort', onAbort);
    own.abort();
  }
}
