import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage } from '../errors.ts';

/** Something that runs until it is stopped, or until it ends unexpectedly. */
export interface Running {
  exited: Promise<unknown>;
  stop(): Promise<void>;
}

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;

/**
 * Starts something and keeps it running: restarts it when it ends unexpectedly, and backs off while that
 * fails. The first start is not retried.
 */
export async function supervise<T extends Running>(
  name: string,
  start: () => Promise<T>,
  say: (line: string) => void,
): Promise<{ current(): T; stop(): Promise<void> }> {
  let running = await start();
  const stopping = new AbortController();
  const watching = (async () => {
    for (;;) {
      await running.exited;
      if (stopping.signal.aborted) return;
      say(`${name} has ended unexpectedly: starting it again`);
      for (
        let pause = FIRST_PAUSE_MS;
        !stopping.signal.aborted;
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS)
      ) {
        try {
          running = await start();
          break;
        } catch (error) {
          say(`${name} could not be started: ${errorMessage(error)}`);
          await sleep(pause, undefined, { signal: stopping.signal }).catch(() => {});
        }
      }
      // Stopped during the restart: `stop` has not seen the new one.
      if (stopping.signal.aborted) await running.stop();
    }
  })();
  return {
    current: () => running,
    stop: async () => {
      stopping.abort();
      await running.stop();
      await watching;
    },
  };
}
