/** How many milliseconds a second signal may follow the first and still be the same Ctrl-C: npm passes on what the terminal sent already. */
const SAME_KEYSTROKE_MS = 1_000;

/**
 * Resolves at the first SIGINT or SIGTERM, or when the launcher that started this process is gone. A later SIGINT, from an impatient
 * person, ends the process at once; the next start mends what that leaves.
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
