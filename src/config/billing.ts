import { duration } from './durations.ts';
import type { EnvironmentReader } from './environment-reader.ts';
import { type PlanRules, readPlanRules } from './plans.ts';

export { duration } from './durations.ts';

export const BILLING_MODES = ['act', 'observe', 'off'] as const;
export type BillingMode = (typeof BILLING_MODES)[number];

/** The durations of docs/billing.md's timetable that an operator can set, in milliseconds. */
export interface BillingDurations {
  /** From the earliest unpaid due date to the suspension. */
  suspendAfterMs: number;
  /** From the suspension to the hibernation. */
  hibernateAfterMs: number;
  /** From the suspension to the deletion. */
  deleteAfterMs: number;
  /** From the end of a cancelled subscription to the deletion. */
  cancelGraceMs: number;
}

export interface BillingConfig {
  /** `observe` decides and logs, and changes nothing. `off` acts on checkouts alone. */
  mode: BillingMode;
  durations: BillingDurations;
  /** Whether what happened before this installation has consequences. */
  actsOnPast: boolean;
  /** Whether the subscription of an agent that was destroyed is cancelled, not only reported. */
  cancelsOnDestroy: boolean;
  plans: PlanRules;
}

const DAY = 86_400_000;

export const DEFAULT_DURATIONS: BillingDurations = {
  suspendAfterMs: 14 * DAY,
  hibernateAfterMs: 7 * DAY,
  deleteAfterMs: 30 * DAY,
  cancelGraceMs: 3 * DAY,
};

/** Reads what follows a payment. Problems are collected in the reader. */
export function readBilling(reader: EnvironmentReader): BillingConfig {
  const read = (name: string, standard: number) => reader.read(name, duration) ?? standard;
  return {
    mode: reader.choice('BILLING', BILLING_MODES) ?? 'act',
    durations: {
      suspendAfterMs: read('BILLING_SUSPEND_AFTER', DEFAULT_DURATIONS.suspendAfterMs),
      hibernateAfterMs: read('BILLING_HIBERNATE_AFTER', DEFAULT_DURATIONS.hibernateAfterMs),
      deleteAfterMs: read('BILLING_DELETE_AFTER', DEFAULT_DURATIONS.deleteAfterMs),
      cancelGraceMs: read('BILLING_CANCEL_GRACE', DEFAULT_DURATIONS.cancelGraceMs),
    },
    actsOnPast: reader.choice('BILLING_ACT_ON_PAST', ['yes', 'no']) === 'yes',
    cancelsOnDestroy: reader.choice('BILLING_CANCEL_ON_DESTROY', ['yes', 'no']) === 'yes',
    plans: readPlanRules(reader),
  };
}
