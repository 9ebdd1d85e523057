import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from './clock.ts';

/** A clock that follows another one by its distance from real time. */
export interface FollowedClock extends Clock {
  /** Asks the other clock at once. @returns whether it answered */
  refresh(): Promise<boolean>;
  stop(): Promise<void>;
}

export interface FollowOptions {
  /** Reads how far the other clock is ahead of real time, in milliseconds. Throws if it does not answer. */
  readOffsetMs(signal: AbortSignal): Promise<number>;
  /** How often to ask, every second by default. */
  intervalMs?: number;
  /** Called when the other clock has been moved by a second or more. If it throws, it is called again. */
  moved?(now: Date): void | Promise<void>;
  /** Called for the first failure after an answer, and not for those that follow it. */
  failed?(error: unknown): void;
}

const MOVED_MS = 1000;

/**
 * Starts to follow another clock. Until its first answer this is the system's clock; while it is silent, its
 * last distance counts. Time never goes back, even where the other clock does.
 */
export function followClock({
  readOffsetMs,
  intervalMs = 1000,
  moved,
  failed,
}: FollowOptions): FollowedClock {
  const stopping = new AbortController();
  const { signal } = stopping;
  let offsetMs = 0;
  let toldMs = 0;
  let latestMs = 0;
  let isSilent = false;
  const now = () => {
    latestMs = Math.max(latestMs, Date.now() + offsetMs);
    return new Date(latestMs);
  };
  const refresh = async () => {
    try {
      const next = await readOffsetMs(signal);
      offsetMs = next;
      if (Math.abs(next - toldMs) >= MOVED_MS) {
        await moved?.(now());
        toldMs = next;
      }
      isSilent = false;
      return true;
    } catch (error) {
      if (!isSilent && !signal.aborted) failed?.(error);
      isSilent = true;
      return false;
    }
  };
  const loop = async () => {
    while (!signal.aborted) {
      await refresh();
      await pause(intervalMs, undefined, { signal }).catch(() => undefined);
    }
  };
  const ended = loop();
  return {
    now,
    refresh,
    stop: async () => {
      stopping.abort();
      await ended;
    },
  };
}
