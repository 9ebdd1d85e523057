import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';

/** The tables whose rows have `secrets`: the columns of their ids, and of the ids they are sealed for. */
export const SEALED_TABLES = {
  agents: { id: 'agent_id', owner: 'agent_id' },
  slots: { id: 'slot_id', owner: 'slot_id' },
  images: { id: 'image_id', owner: 'image_id' },
  agent_snapshots: { id: 'snapshot_id', owner: 'agent_id' },
} as const;
export type SealedTable = keyof typeof SEALED_TABLES;

/** Whether a row's secrets are sealed with another key than this one. */
export const isUnderOther = (keyId: string) =>
  sql<boolean>`(secrets is not null and key_of(secrets) is distinct from ${keyId})`;

/** How many rows of each table are sealed with another key than this one. */
export async function countSealed(database: Database, keyId: string): Promise<Record<SealedTable, number>> {
  const count = (table: SealedTable) =>
    sql`(select count(*)::int from ${sql.table(table)} where ${isUnderOther(keyId)}) as ${sql.ref(table)}`;
  const tables = Object.keys(SEALED_TABLES) as SealedTable[];
  const { rows } = await sql<Record<SealedTable, number>>`select ${sql.join(tables.map(count))}`.execute(
    database,
  );
  return rows[0]!;
}
