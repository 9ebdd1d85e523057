/** A second signal within this time is the same Ctrl-C: npm forwards what the terminal has already sent. */
const SAME_KEYSTROKE_MS = 1_000;

/**
 * Resolves at the first SIGINT or SIGTERM, or when the launcher of this process is gone. A later SIGINT ends
 * the process immediately; the next start cleans up.
 */
export function untilStopped(): { promise: Promise<void>; signal: AbortSignal } {
  const controller = new AbortController();
  const promise = new Promise<void>((resolve) => {
    let since: number | undefined;
    const stop = () => {
      since ??= Date.now();
      controller.abort();
      resolve();
    };
    process.on('SIGINT', () => {
      if (since !== undefined && Date.now() - since > SAME_KEYSTROKE_MS) process.exit(130);
      stop();
    });
    process.on('SIGTERM', stop);
    process.on('SIGHUP', stop);
    process.on('disconnect', stop);
  });
  return { promise, signal: controller.signal };
}
