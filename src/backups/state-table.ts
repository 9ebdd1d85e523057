import type pg from 'pg';

/** Makes the table of Pulumi's state as its CLI would at its first call. */
export async function ensureStateTable(client: pg.Client): Promise<void> {
  await client.query(`create table if not exists pulumi_state (
    key text primary key, data json not null, updated_at timestamp with time zone not null default now())`);
}
