import type { CallWatch } from '../../http-client/exchange.ts';

/** How many API calls a sweep may make in one Hetzner project, and how many count towards that. */
export interface Budget {
  readonly used: number;
  /** Calls that remain. */
  readonly left: number;
}

/** Those of all projects. The tailnet's calls count towards each: they are shared. */
export interface Budgets {
  /** Calls in all. */
  readonly used: number;
  /** What remains for the tailnet, whose quota is none of Hetzner's. */
  readonly left: number;
  of(project: string): Budget;
  /** Counts the calls of a project's client; `tailscale` likewise. */
  project(name: string): CallWatch;
  readonly tailscale: CallWatch;
}

/** The budget is spent, so a call was not made. */
export class BudgetSpentError extends Error {
  override name = 'BudgetSpentError';
}

/**
 * Allows `maxCalls` in each Hetzner project, whose quota is its own, and at most half of what its answers
 * report: the other half is for operations, which people wait for.
 */
export function createBudgets(maxCalls: number): Budgets {
  let ofTailnet = 0;
  const known = new Map<string, ReturnType<typeof createCounter>>();
  const counterOf = (project: string) => {
    const counter = known.get(project) ?? createCounter(maxCalls, () => ofTailnet);
    known.set(project, counter);
    return counter;
  };
  const refuse = (used: number) => {
    throw new BudgetSpentError(`The sweep has used all its ${used} calls`);
  };
  const budgets = {
    get used() {
      return [...known.values()].reduce((sum, { own }) => sum + own, ofTailnet);
    },
    get left() {
      return Math.max(0, maxCalls - ofTailnet);
    },
    of: counterOf,
    project: (name: string): CallWatch => {
      const counter = counterOf(name);
      return {
        begins: () => {
          if (counter.left < 1) refuse(counter.used);
          counter.own += 1;
        },
        answered: (headers) => counter.sawRemaining(headers.get('ratelimit-remaining')),
      };
    },
    tailscale: {
      begins: () => {
        if (budgets.left < 1) refuse(ofTailnet);
        ofTailnet += 1;
      },
      answered: () => {},
    },
  };
  return budgets;
}

function createCounter(maxCalls: number, ofTailnet: () => number) {
  let limit = Number.POSITIVE_INFINITY;
  const counter = {
    own: 0,
    get used() {
      return counter.own + ofTailnet();
    },
    get left() {
      return Math.max(0, Math.min(maxCalls - counter.used, limit - counter.own));
    },
    sawRemaining: (remaining: string | null) => {
      if (remaining === null || !/^\d+$/.test(remaining)) return;
      limit = Math.min(limit, counter.own + Math.floor(Number(remaining) / 2));
    },
  };
  return counter;
}
