import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { errorMessage } from '../errors.ts';
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
}

/** Without a file the checkout's metadata names the plan, and prices say nothing. */
export const PLANS_FROM_METADATA: PlanRules = { ofPrice: {}, metadata: true };

const price = z.string().regex(/^[\x21-\x7e]{1,255}$/, 'is not a price id or lookup key');
const plan = z.enum(PLANS, { error: `must be one of ${PLANS.join(', ')}` });
const fileSchema = z.strictObject({
  prices: z
    .record(price, plan)
    .refine((prices) => Object.keys(prices).length > 0, 'must name at least one price'),
  metadata: z.boolean({ error: 'must be true or false' }).default(false),
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
  if (parsed.success) return { ofPrice: parsed.data.prices, metadata: parsed.data.metadata };
  reader.problems.push(
    ...parsed.error.issues.map(
      ({ path, message }) => `BILLING_PLANS: ${[path.join('.'), message].filter(Boolean).join(': ')}`,
    ),
  );
  return undefined;
}
