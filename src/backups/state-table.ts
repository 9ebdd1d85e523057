import type pg from 'pg';

export const STATE_TABLE = 'pulumi_state';

/** Makes the table of Pulumi's state as its CLI would at its first call. */
export async function ensureStateTable(client: pg.Client): Promise<void> {
  await client.query(`create table if not exists ${STATE_TABLE} (
    key text primary key, data json not null, updated_at timestamp with time zone not null default now())`);
}
