import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { z } from 'zod';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';

const SETTING = 'delivery-faults';
const share = z.number().min(0).max(1).default(0);

/** What goes wrong on the way to the webhook, each as a share of all events. */
export const deliveryFaultsSchema = z.strictObject({
  /** Never delivered, however often Stripe would have tried. */
  lose: share,
  /** Delivered twice. */
  double: share,
  /** Delivered late, so that later events arrive before. */
  delay: share,
  /** The longest delay, in real time, as all deliveries are. */
  delayMs: z.number().int().min(0).max(60_000).default(2_000),
  /** With the same seed, the same events of a sandbox are affected, by the order in which they happened. */
  seed: z.number().int().min(0).default(1),
});

export type DeliveryFaults = z.output<typeof deliveryFaultsSchema>;

/** What happens to one event. */
export interface Fate {
  isLost: boolean;
  isDoubled: boolean;
  /** 0: it is on time. */
  delayMs: number;
}

const GOOD: Fate = { isLost: false, isDoubled: false, delayMs: 0 };

/** Reads the faults of deliveries; by default there are none. */
export async function readDeliveryFaults(database: SandboxDatabase): Promise<DeliveryFaults> {
  const row = await database
    .selectFrom('stripe_settings')
    .select('value')
    .where('name', '=', SETTING)
    .executeTakeFirst();
  return deliveryFaultsSchema.parse(row?.value ?? {});
}

/** Replaces the faults. What was lost before stays so until it is sent again. */
export async function saveDeliveryFaults(trx: SandboxTransaction, faults: DeliveryFaults): Promise<void> {
  await trx
    .insertInto('stripe_settings')
    .values({ name: SETTING, value: JSON.stringify(faults) })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value: sql`excluded.value` }))
    .execute();
}

/** Reads what happens to an event on its way, the same however often it is asked. */
export async function readFate(database: SandboxDatabase, eventId: string): Promise<Fate> {
  const faults = await readDeliveryFaults(database);
  if (faults.lose + faults.double + faults.delay === 0) return GOOD;
  const { number } = await database
    .selectFrom('stripe_events')
    .select('number')
    .where('id', '=', eventId)
    .executeTakeFirstOrThrow();
  return drawFate(faults, number);
}

/** Draws the fate of the event with this number. */
export function drawFate({ seed, ...faults }: DeliveryFaults, number: string): Fate {
  const drawn = createHash('sha256').update(`${seed}:${number}`).digest();
  const fraction = (index: number) => drawn.readUInt32BE(4 * index) / 2 ** 32;
  return {
    isLost: fraction(0) < faults.lose,
    isDoubled: fraction(1) < faults.double,
    delayMs: fraction(2) < faults.delay ? Math.ceil(fraction(3) * faults.delayMs) : 0,
  };
}
