import type { RecoveryState } from '../database/recovery-tables.ts';
import type { Secret } from '../secret.ts';
import { connect } from './scratch.ts';

/**
 * Lets nobody begin anything on the rows that are to be replaced: after a kill between the commits of the two
 * databases they stand beside a Pulumi state that is older.
 * @returns how it was, for `letWork`; undefined if there is nothing to work on, or no row to say so
 */
export async function holdWork(databaseUrl: Secret): Promise<RecoveryState | undefined> {
  const service = await connect(databaseUrl.reveal());
  try {
    const known = await service.query(
      `select from information_schema.columns where table_schema = 'public' and table_name = 'installation'
         and column_name = 'recovery'`,
    );
    if (known.rowCount === 0) return undefined;
    const held = await service.query<{ recovery: RecoveryState }>(
      `update installation set recovery = 'needed' from (select recovery from installation for update) before
       returning before.recovery`,
    );
    return held.rows[0]?.recovery;
  } finally {
    await service.end();
  }
}

/** After a restore that has changed nothing. */
export async function letWork(databaseUrl: Secret, before: RecoveryState | undefined): Promise<void> {
  if (before === undefined) return;
  const service = await connect(databaseUrl.reveal());
  await service.query('update installation set recovery = $1', [before]).finally(() => service.end());
}
