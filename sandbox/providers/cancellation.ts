/** Tracks all work in progress, so that it can be aborted from outside. */
export interface Cancellation {
  /** Runs `work` with a signal that `cancel`, `own` or the time limit aborts. Zero seconds: no limit. */
  run<Result>(
    work: (signal: AbortSignal) => Promise<Result>,
    own: AbortSignal,
    timeoutSeconds: number,
  ): Promise<Result>;
  /** Aborts the work in progress, but not later work. Resolves when it has ended. */
  cancel(): Promise<void>;
}

export function createCancellation(): Cancellation {
  let current = new AbortController();
  const running = new Set<Promise<unknown>>();
  return {
    async run(work, own, timeoutSeconds) {
      const limit = new AbortController();
      const timer =
        timeoutSeconds > 0
          ? setTimeout(() => limit.abort(new Error('context deadline exceeded')), timeoutSeconds * 1000)
          : undefined;
      const promise = work(AbortSignal.any([current.signal, own, limit.signal]));
      const settled = promise.catch(() => undefined);
      running.add(settled);
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
        running.delete(settled);
      }
    },
    async cancel() {
      const ended = current;
      current = new AbortController();
      ended.abort(new Error('context canceled'));
      await Promise.all(running);
    },
  };
}
