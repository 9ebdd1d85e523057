import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';

/** So long a person has to look at what is unclear. */
const SPARED_DAYS = 7;
const WHY = 'Its record at Hetzner may be newer than its row: see what the rebuild has found to be unclear';

/**
 * Keeps the rows of these agents from being written over their records, which could not become rows. All
 * others may be, whatever an earlier run has left.
 */
export async function spareRecords(database: Database, agentIds: readonly string[]): Promise<void> {
  await sql`delete from cloud_records where owner_id <> all(${[...agentIds]}::text[])`.execute(database);
  await sql`
    insert into cloud_records (owner_id, error, retry_at)
    select agent_id, ${WHY}, now() + make_interval(days => ${SPARED_DAYS}) from agents
    where agent_id = any(${[...agentIds]}::text[])
    on conflict (owner_id) do update set seen = null, digest = null, key_id = null, error = excluded.error,
      retry_at = excluded.retry_at`.execute(database);
}
