import type { CallWatch } from '../../http-client/exchange.ts';

/** How many API calls a sweep may make, and how many it has made. */
export interface Budget {
  readonly used: number;
  /** Calls that remain. */
  readonly left: number;
  /** Counts the calls of Hetzner's client; `tailscale` likewise. */
  readonly hetzner: CallWatch;
  readonly tailscale: CallWatch;
}

/** The budget is spent, so a call was not made. */
export class BudgetSpentError extends Error {
  override name = 'BudgetSpentError';
}

/**
 * Allows `maxCalls` in all, and at Hetzner at most half of the quota that its answers report: the other half
 * is for operations, which people wait for.
 */
export function createBudget(maxCalls: number): Budget {
  let used = 0;
  let hetznerUsed = 0;
  let hetznerLimit = Number.POSITIVE_INFINITY;
  const left = () => Math.max(0, Math.min(maxCalls - used, hetznerLimit - hetznerUsed));
  const begins = () => {
    if (left() < 1) throw new BudgetSpentError(`The sweep has used all its ${used} calls`);
    used += 1;
  };
  return {
    get used() {
      return used;
    },
    get left() {
      return left();
    },
    hetzner: {
      begins: () => {
        begins();
        hetznerUsed += 1;
      },
      answered: (headers) => {
        const remaining = headers.get('ratelimit-remaining');
        if (remaining === null || !/^\d+$/.test(remaining)) return;
        hetznerLimit = Math.min(hetznerLimit, hetznerUsed + Math.floor(Number(remaining) / 2));
      },
    },
    tailscale: { begins, answered: () => {} },
  };
}
