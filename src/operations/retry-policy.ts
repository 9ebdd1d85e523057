import { RETRY_SECONDS } from '../config/timing.ts';
import {
  CancelledError,
  getFailureCode,
  LostError,
  PermanentError,
  RateLimitedError,
  ShortageError,
  STATE_KEY_UNUSABLE,
} from '../errors.ts';
import type { OperationRow } from './claims.ts';
import { MAX_LOST } from './states.ts';

export interface Tries {
  /** Failed tries before this one. */
  retryCount: number;
  maxRetries: number;
  /** Lost tries before this one. */
  lostCount: number;
}

export type Decision =
  | { kind: 'retry'; delaySeconds: number }
  | { kind: 'repeat'; delaySeconds: number }
  | { kind: 'await-supply' }
  | { kind: 'give-up' }
  | { kind: 'cancelled' };

/** A lost try is no sign of a problem at a cloud, so it is repeated soon. */
const LOST_DELAY_SECONDS = 2;
const LONGEST_DELAY_SECONDS = 300;

/**
 * Decides what follows an unsuccessful try. A failed one is retried with growing delays until `maxRetries`
 * have failed. A lost one is repeated without counting as failed; so is one that found something sold out. A
 * permanent error is not retried.
 */
export function retryPolicy(error: unknown, tries: Tries, retrySeconds = RETRY_SECONDS): Decision {
  if (error instanceof CancelledError) return { kind: 'cancelled' };
  if (error instanceof LostError) {
    return tries.lostCount >= MAX_LOST
      ? { kind: 'give-up' }
      : { kind: 'repeat', delaySeconds: delay(LOST_DELAY_SECONDS, tries.lostCount) };
  }
  if (error instanceof ShortageError) return { kind: 'await-supply' };
  if (error instanceof PermanentError) return { kind: 'give-up' };
  return tries.retryCount + 1 >= tries.maxRetries
    ? { kind: 'give-up' }
    : { kind: 'retry', delaySeconds: Math.max(delay(retrySeconds, tries.retryCount), patience(error)) };
}

/** How long work waits for what is sold out: `earlierWaits` are the tries that counted as nothing before. */
export function supplyDelay(earlierWaits: number, retrySeconds = RETRY_SECONDS): number {
  return delay(retrySeconds, Math.max(0, earlierWaits));
}

/** The delay that a rate-limiting API asked for. */
function patience(error: unknown): number {
  return error instanceof RateLimitedError ? error.seconds : 0;
}

function delay(firstSeconds: number, count: number): number {
  return Math.min(firstSeconds * 4 ** count, LONGEST_DELAY_SECONDS);
}

/**
 * What an earlier try has found is for the next one to handle; a wait for the state's key, which no runbook
 * reads, gives way to it and ends with the key's next use.
 */
export function waitCode({ failure_code: before }: OperationRow, error: unknown): string | null {
  if (before !== null && before !== STATE_KEY_UNUSABLE) return before;
  return getFailureCode(error) === STATE_KEY_UNUSABLE ? STATE_KEY_UNUSABLE : null;
}
