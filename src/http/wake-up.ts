/** Lets one reader sleep until something may have happened, it is over, or it is time to look anyway. */
export interface WakeUp {
  wake(): void;
  /** Returns at once where `wake` was called since the last return. */
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
