import type pg from 'pg';
import type { Secret } from '../secret.ts';

export const STATE_TABLE = 'pulumi_state';

/** Whether Pulumi's state is in Postgres: it can be elsewhere, and is backed up there then. */
export const isPostgres = (url: Secret): boolean => /^postgres(ql)?:/.test(url.reveal());

/** Makes the table of Pulumi's state as its CLI would at its first call. */
export async function ensureStateTable(client: pg.Client): Promise<void> {
  await client.query(`create table if not exists ${STATE_TABLE} (
    key text primary key, data json not null, updated_at timestamp with time zone not null default now())`);
}
