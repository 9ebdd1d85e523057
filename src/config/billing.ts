import { z } from 'zod';
import type { EnvironmentReader } from './environment-reader.ts';
import { type PlanRules, readPlanRules } from './plans.ts';

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

const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 } as const;
type Unit = keyof typeof UNITS;
const DAY = UNITS.d;
const LONGEST = 3_650 * DAY;

export const DEFAULT_DURATIONS: BillingDurations = {
  suspendAfterMs: 14 * DAY,
  hibernateAfterMs: 7 * DAY,
  deleteAfterMs: 30 * DAY,
  cancelGraceMs: 3 * DAY,
};

const PROBLEM = 'must be a duration such as 14d, 12h, 30m or 45s, longer than nothing and at most 3650d';

/** A duration as people write it. Returns milliseconds. */
export const duration = z
  .string()
  .regex(/^\d{1,9}[dhms]$/, PROBLEM)
  .transform((text) => Number(text.slice(0, -1)) * UNITS[text.slice(-1) as Unit])
  .refine((milliseconds) => milliseconds > 0 && milliseconds <= LONGEST, PROBLEM);

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
