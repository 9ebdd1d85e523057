import { z } from 'zod';
import { duration } from './durations.ts';
import type { EnvironmentReader } from './environment-reader.ts';
import { PLANS, type Plan, type PlanRules, snapshotsKept } from './plans.ts';

/** Which snapshots the agents of each plan keep beside their servers. */
export type SnapshotPolicy = Record<Plan, SnapshotRules>;

export interface SnapshotRules {
  /** Milliseconds from one to the next; undefined: only when a person asks. */
  everyMs: number | undefined;
  /** How many of the schedule's are kept. */
  keep: number;
  /** How long one that is made before a destroy is kept, in milliseconds; undefined: none is made. */
  lastMs: number | undefined;
}

const DEFAULT_KEEP = 7;

const count = z
  .string()
  .regex(/^\d{1,4}$/, 'must be a whole number')
  .transform(Number)
  .pipe(snapshotsKept);

export function readSnapshots(reader: EnvironmentReader, { snapshots }: PlanRules): SnapshotPolicy {
  const everyMs = reader.read('AGENT_SNAPSHOTS_EVERY', duration);
  const keep = reader.read('AGENT_SNAPSHOTS_KEEP', count) ?? DEFAULT_KEEP;
  const rulesOf = (plan: Plan): SnapshotRules => ({
    everyMs: snapshots[plan]?.everyMs ?? everyMs,
    keep: snapshots[plan]?.keep ?? keep,
    lastMs: snapshots[plan]?.lastMs,
  });
  return Object.fromEntries(PLANS.map((plan) => [plan, rulesOf(plan)])) as SnapshotPolicy;
}
