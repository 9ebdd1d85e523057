import { setTimeout as sleep } from 'node:timers/promises';

export interface Polling {
  intervalMs: number;
  /** Doubles the interval after each poll, up to this; default: the interval is constant. */
  longestIntervalMs?: number;
  /** Gives up if the next poll would be later than this; default: never. */
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
}

/**
 * Polls until `ask` returns something other than `undefined`.
 * @returns the answer, or undefined if none came in time.
 * @throws the signal's reason, and errors of `ask`
 */
export async function poll<T>(
  ask: () => Promise<T | undefined> | T | undefined,
  { intervalMs, longestIntervalMs = intervalMs, timeoutMs = Number.POSITIVE_INFINITY, signal }: Polling,
): Promise<T | undefined> {
  const deadline = Date.now() + timeoutMs;
  for (let pause = intervalMs; ; pause = Math.min(pause * 2, longestIntervalMs)) {
    signal?.throwIfAborted();
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() + pause > deadline) return undefined;
    // Its own error says only that the sleep was interrupted.
    await sleep(pause, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}
