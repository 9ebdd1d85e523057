import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { errorMessage } from '../errors.ts';
import { duration } from './durations.ts';
import type { EnvironmentReader } from './environment-reader.ts';

/** The plans on sale, smallest first. */
export const PLANS = ['starter', 'pro', 'max'] as const;
export type Plan = (typeof PLANS)[number];

/** Which plan a buyer gets. */
export interface PlanRules {
  /** The plan of each price; keys are Stripe's price ids and lookup keys. */
  ofPrice: Readonly<Record<string, Plan>>;
  /** Whether a checkout's metadata may name the plan. */
  metadata: boolean;
  /** The servers of plans that the file describes; the others have the service's own. */
  servers: PlanServers;
  /** The snapshots of plans that the file describes; the others have what the environment says. */
  snapshots: Partial<Record<Plan, PlanSnapshots>>;
}

/** The snapshots that agents of a plan keep; what is undefined is as for every other plan. */
export interface PlanSnapshots {
  everyMs: number | undefined;
  keep: number | undefined;
  /** How long the last one, before a destroy, is kept; undefined: none is made. */
  lastMs: number | undefined;
}

export type PlanServers = Partial<Record<Plan, ServerRules>>;

/** Which servers a plan may have. */
export interface ServerRules {
  /** Hetzner's server types by location (`nbg1`), the preferred one first, then what replaces it. */
  types: Readonly<Record<string, readonly string[]>>;
  /** The most that a server may cost, in euros a month with tax. */
  mostEurosPerMonth: number | undefined;
}

/** Without a file the checkout's metadata names the plan, and prices say nothing. */
export const PLANS_FROM_METADATA: PlanRules = { ofPrice: {}, metadata: true, servers: {}, snapshots: {} };

const price = z.string().regex(/^[\x21-\x7e]{1,255}$/, 'is not a price id or lookup key');
const plan = z.enum(PLANS, { error: `must be one of ${PLANS.join(', ')}` });
const serverType = z.string().regex(/^[a-z0-9-]{1,40}$/, 'is not a server type');
const serverRules = z.strictObject({
  types: z.record(
    z.string().regex(/^[a-z0-9-]{1,20}$/, 'is not a location of Hetzner'),
    z.array(serverType).min(1, 'must name at least one server type').max(10, 'names too many server types'),
  ),
  mostEurosPerMonth: z.number('must be a number of euros').positive('must be more than nothing').optional(),
});
/** Also as the service hands it to a runner. */
export const planServersSchema = z.partialRecord(
  z.enum(PLANS),
  serverRules.transform(({ types, mostEurosPerMonth }) => ({ types, mostEurosPerMonth })),
);
/** How many snapshots of an agent the schedule keeps. */
export const snapshotsKept = z
  .int('must be a whole number')
  .min(1, 'must be at least 1')
  .max(100, 'must be at most 100');
const planSnapshots = z
  .strictObject({
    every: duration.optional(),
    keep: snapshotsKept.optional(),
    lastSnapshot: duration.optional(),
  })
  .transform(({ every, keep, lastSnapshot }) => ({ everyMs: every, keep, lastMs: lastSnapshot }));
const fileSchema = z.strictObject({
  prices: z
    .record(price, plan)
    .refine((prices) => Object.keys(prices).length > 0, 'must name at least one price'),
  metadata: z.boolean({ error: 'must be true or false' }).default(false),
  servers: planServersSchema.default({}),
  snapshots: z.partialRecord(z.enum(PLANS), planSnapshots).default({}),
});

/** Reads the file that BILLING_PLANS names. Every problem in it is collected in the reader. */
export function readPlanRules(reader: EnvironmentReader): PlanRules {
  const path = reader.text('BILLING_PLANS');
  if (path === undefined) return PLANS_FROM_METADATA;
  if (!isAbsolute(path)) reader.problems.push('BILLING_PLANS must be the absolute path of a file');
  else return parseFile(reader, path) ?? PLANS_FROM_METADATA;
  return PLANS_FROM_METADATA;
}

function parseFile(reader: EnvironmentReader, path: string): PlanRules | undefined {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    reader.problems.push(`BILLING_PLANS cannot be read as JSON: ${errorMessage(error)}`);
    return undefined;
  }
  const parsed = fileSchema.safeParse(content);
  if (parsed.success) {
    const { prices, ...rules } = parsed.data;
    return { ofPrice: prices, ...rules };
  }
  reader.problems.push(
    ...parsed.error.issues.map(
      ({ path, message }) => `BILLING_PLANS: ${[path.join('.'), message].filter(Boolean).join(': ')}`,
    ),
  );
  return undefined;
}
