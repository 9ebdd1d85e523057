/** A second signal within this time is the same Ctrl-C: npm forwards what the terminal has already sent. */
const SAME_KEYSTROKE_MS = 1_000;

/**
 * Resolves at the first SIGINT or SIGTERM, or when the launcher of this process is gone. A later SIGINT ends
 * the process immediately; the next start cleans up. `stopsOnHangUp`: SIGHUP means the same. `fail` stops it
 * for a reason of its own, with which the promise is rejected.
 */
export function untilStopped({ stopsOnHangUp = true } = {}): {
  promise: Promise<void>;
  signal: AbortSignal;
  fail(error: Error): void;
} {
  const controller = new AbortController();
  let fail = (_error: Error) => {};
  const promise = new Promise<void>((resolve, reject) => {
    let since: number | undefined;
    const stop = () => {
      since ??= Date.now();
      controller.abort();
      resolve();
    };
    fail = (error) => {
      controller.abort();
      reject(error);
    };
    process.on('SIGINT', () => {
      if (since !== undefined && Date.now() - since > SAME_KEYSTROKE_MS) process.exit(130);
      stop();
    });
    process.on('SIGTERM', stop);
    // Until something else listens, it must not end the process either.
    process.on('SIGHUP', stopsOnHangUp ? stop : () => {});
    process.on('disconnect', stop);
  });
  // Whoever waits for it hears of it; a start that fails first need not.
  promise.catch(() => {});
  return { promise, signal: controller.signal, fail };
}
