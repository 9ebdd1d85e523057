import { setTimeout as sleep } from 'node:timers/promises';

export interface Polling {
  intervalMs: number;
  /** Doubles the interval after each poll, up to this; default: the interval is constant. */
  longestIntervalMs?: number;
  /** Polls for the last time when this has passed; default: never. */
  timeoutMs?: number;
  /** Polls at most this many times, whatever each of them takes; default: no limit. */
  maxPolls?: number;
  signal?: AbortSignal | undefined;
}

/**
 * Polls until `ask` returns something other than `undefined`.
 * @returns the answer, or undefined if none came in time.
 * @throws the signal's reason, and errors of `ask`
 */
export async function poll<T>(
  ask: () => Promise<T | undefined> | T | undefined,
  polling: Polling,
): Promise<T | undefined> {
  const { intervalMs, longestIntervalMs = intervalMs, signal } = polling;
  const { timeoutMs = Number.POSITIVE_INFINITY, maxPolls = Number.POSITIVE_INFINITY } = polling;
  const deadline = Date.now() + timeoutMs;
  let pause = intervalMs;
  for (let polls = 1; ; polls += 1) {
    signal?.throwIfAborted();
    const answer = await ask();
    if (answer !== undefined) return answer;
    const left = deadline - Date.now();
    if (left <= 0 || polls >= maxPolls) return undefined;
    // Its own error says only that the sleep was interrupted.
    await sleep(Math.min(pause, left), undefined, { signal }).catch(() => signal?.throwIfAborted());
    pause = Math.min(pause * 2, longestIntervalMs);
  }
}
