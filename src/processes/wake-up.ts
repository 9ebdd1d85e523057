/** Lets one reader sleep until it is woken, aborted, or the time limit has passed. */
export interface WakeUp {
  wake(): void;
  /** Returns at once if `wake` was called since the last return. */
  sleep(longestMs: number, signal: AbortSignal): Promise<void>;
}

export function createWakeUp(): WakeUp {
  let awake = false;
  let rouse = () => {};
  return {
    wake: () => {
      awake = true;
      rouse();
    },
    sleep: (longestMs, signal) =>
      new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          awake = false;
          rouse = () => {};
          resolve();
        };
        const timer = setTimeout(done, longestMs);
        rouse = done;
        signal.addEventListener('abort', done, { once: true });
        if (awake || signal.aborted) done();
      }),
  };
}
