import { sql } from 'kysely';
import { z } from 'zod';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';

const DAY_SECONDS = 24 * 3600;
const SETTING = 'dunning';

/** What the account does about failed payments, as in the billing settings of Stripe's dashboard. */
export const dunningSchema = z.strictObject({
  /** Days after the first attempt on which a payment is tried again; by default 8 times within two weeks. */
  retryDays: z
    .array(z.number().positive().max(60))
    .max(8)
    .refine((days) => days.every((day, index) => index === 0 || day > days[index - 1]!), 'must ascend')
    .default([1, 3, 5, 7, 9, 11, 13, 14]),
  /** What becomes of the subscription once all of them have failed. */
  subscription: z.enum(['cancel', 'mark_unpaid', 'leave_past_due']).default('cancel'),
  /** What becomes of the invoice then. */
  invoice: z.enum(['leave_open', 'mark_uncollectible']).default('leave_open'),
});

export type Dunning = z.output<typeof dunningSchema>;

/** Reads the account's dunning settings. */
export async function readDunning(database: SandboxDatabase): Promise<Dunning> {
  const row = await database
    .selectFrom('stripe_settings')
    .select('value')
    .where('name', '=', SETTING)
    .executeTakeFirst();
  return dunningSchema.parse(row?.value ?? {});
}

/** Replaces the settings. Retries that are already scheduled keep their time. */
export async function saveDunning(trx: SandboxTransaction, settings: Dunning): Promise<void> {
  const value = JSON.stringify(settings);
  await trx
    .insertInto('stripe_settings')
    .values({ name: SETTING, value })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value: sql`excluded.value` }))
    .execute();
}

/**
 * Returns when a payment is tried again after its nth attempt has failed at `now`, in Unix seconds; null once
 * no retry is left.
 */
export function nextAttemptAt({ retryDays }: Dunning, attempts: number, now: number): number | null {
  const next = retryDays[attempts - 1];
  if (next === undefined) return null;
  const previous = attempts < 2 ? 0 : retryDays[attempts - 2]!;
  return now + Math.round((next - previous) * DAY_SECONDS);
}
