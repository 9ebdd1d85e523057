import type { Selectable } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { HeldChangeTable } from '../database/limit-tables.ts';
import type { BreakerName } from '../database/vocabulary.ts';
import { BREAKERS, type BreakerRow } from './breakers.ts';
import { countChanges, countWaiting, isRate } from './room.ts';
import { currentSpend } from './spend.ts';
import { CURES, TITLES } from './words.ts';

export interface BreakerState {
  name: BreakerName;
  title: string;
  /** Null while it is closed. */
  trippedAt: Date | null;
  cause: string | null;
  cure: string;
  /** When a person last let changes go that have not all gone yet. */
  approvedAt: Date | null;
  /** Changes within its period, or euros an hour; null if a price is not known. */
  used: number | null;
  /** Null: no limit. */
  allowed: number | null;
  /** Changes that wait, and how many of them a person has approved. */
  waiting: number;
  approved: number;
}

/** The state of every breaker at this time. */
export async function listBreakers(database: Database, at: Date): Promise<BreakerState[]> {
  const rows = await database.selectFrom('breakers').selectAll().execute();
  const waiting = await countWaiting(database);
  return Promise.all(
    BREAKERS.flatMap((name) => rows.filter((row) => row.name === name)).map(async (row) => ({
      name: row.name,
      title: TITLES[row.name],
      trippedAt: row.tripped_at,
      cause: row.cause,
      cure: CURES[row.name],
      approvedAt: row.approved_at,
      ...(await measure(database, row, at)),
      ...(waiting.get(row.name) ?? { waiting: 0, approved: 0 }),
    })),
  );
}

async function measure(
  database: Database,
  row: BreakerRow,
  at: Date,
): Promise<Pick<BreakerState, 'used' | 'allowed'>> {
  if (isRate(row)) {
    const { used, allowed } = await countChanges(database, row, at);
    return { used, allowed: Number.isFinite(allowed) ? allowed : null };
  }
  const limit = row.limit_euros === null ? null : Number(row.limit_euros);
  return { used: await currentSpend(database), allowed: limit };
}

export type HeldChange = Selectable<HeldChangeTable>;

/** Returns a page of what waits for a breaker, the oldest first: the order in which it goes. */
export function listHeldChanges(
  database: Database,
  page: { breaker: BreakerName; after?: number | undefined; limit: number },
): Promise<HeldChange[]> {
  return database
    .selectFrom('held_changes')
    .selectAll()
    .where('breaker', '=', page.breaker)
    .where('held_change_id', '>', page.after ?? 0)
    .orderBy('held_change_id')
    .limit(page.limit)
    .execute();
}
