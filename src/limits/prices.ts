import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { HetznerClient } from '../hetzner/hetzner.ts';

const FRESH_HOURS = 1;

/** Prices older than this are still used where Hetzner does not answer. */
const FRESH_MS = FRESH_HOURS * 3_600_000;

/**
 * Fetches Hetzner's prices if the cached ones are not fresh, and a limit on costs is set or they are
 * `wanted`.
 * @returns whether they were fetched
 */
export async function refreshPrices(
  { database, hetzner }: { database: Database; hetzner: Pick<HetznerClient, 'listServerPrices'> },
  at: Date,
  wanted = false,
): Promise<boolean> {
  const { rows } = await sql<{ isDue: boolean }>`
    select (limit_euros is not null or ${wanted}) and not exists (
      select 1 from server_prices where fetched_at > ${new Date(at.getTime() - FRESH_MS)}) as "isDue"
    from breakers where name = 'spend'`.execute(database);
  if (rows[0]?.isDue !== true) return false;
  await storePrices(database, await hetzner.listServerPrices(), at);
  return true;
}

/** Keeps the price of a type that is no longer on sale: its servers go on being billed. */
async function storePrices(
  database: Database,
  prices: Awaited<ReturnType<HetznerClient['listServerPrices']>>,
  at: Date,
): Promise<void> {
  if (prices.length === 0) return;
  await database
    .insertInto('server_prices')
    .values(
      prices.map(({ serverType, location, perHour }) => ({
        server_type: serverType,
        location,
        euros_per_hour: perHour,
        fetched_at: at,
      })),
    )
    .onConflict((conflict) =>
      conflict.columns(['server_type', 'location']).doUpdateSet({
        euros_per_hour: sql`excluded.euros_per_hour`,
        fetched_at: sql`excluded.fetched_at`,
      }),
    )
    .execute();
}
