import type { Violation } from './model.ts';

/** What a year has shown. */
export interface YearReport {
  seed: number;
  subscriptions: number;
  days: number;
  loss: number;
  seconds: number;
  /** Midnights at which everything was compared. */
  nights: number;
  ordered: number;
  /** Steps of the customers' stories; those that Stripe refused are counted as such. */
  acts: Record<string, number>;
  /** How many agents were compared with the clouds, over all nights, by what they had to be. */
  compared: Record<string, number>;
  harms: number;
  /** Nights on which an agent was right only at the second look. */
  secondLooks: number;
  lostEvents: number;
  longestNightSeconds: number;
  /** Operations by kind, and notices by type. */
  service: Record<string, number>;
  violations: Violation[];
  /** Where the evidence is saved, if something was wrong. */
  dump?: string;
}

/** The report of a year that has not begun. */
export function emptyReport(
  chosen: Pick<YearReport, 'seed' | 'subscriptions' | 'days' | 'loss'>,
): YearReport {
  const { seed, subscriptions, days, loss } = chosen;
  return {
    seed,
    subscriptions,
    days,
    loss,
    seconds: 0,
    nights: 0,
    ordered: 0,
    acts: {},
    compared: {},
    harms: 0,
    secondLooks: 0,
    lostEvents: 0,
    longestNightSeconds: 0,
    service: {},
    violations: [],
  };
}
