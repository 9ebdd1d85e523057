import type pg from 'pg';
import type { Secret } from '../secret.ts';
import { BackupError } from './backup-error.ts';
import { putLeftBack } from './schema-of-backup.ts';
import { connect } from './scratch.ts';
import { isPostgres, STATE_TABLE } from './state-table.ts';
import { hasRows } from './tables.ts';

interface Databases {
  databaseUrl: Secret;
  stateUrl: Secret;
}

/** @throws BackupError if a process works on the database */
export async function refuseRunning({ databaseUrl }: Pick<Databases, 'databaseUrl'>): Promise<void> {
  const service = await connect(databaseUrl.reveal());
  try {
    for (const table of ['workers', 'processes'])
      if (await hasRows(service, table, "where seen_at > now() - interval '15 seconds'"))
        throw new BackupError(
          'A process of this installation runs, or was killed within the last 15 seconds: stop every one of them first',
        );
  } finally {
    await service.end();
  }
}

/**
 * Puts back what a killed restore has put aside, then looks at both databases.
 * @throws BackupError if there is something in them
 */
export async function refuseUsed({ databaseUrl, stateUrl }: Databases, force: boolean): Promise<void> {
  await putLeftBack(databaseUrl);
  if (force) return;
  const service = await connect(databaseUrl.reveal());
  const state = await connect(stateUrl.reveal());
  try {
    for (const table of ['agents', 'orders'])
      if (await hasRows(service, table))
        throw new BackupError(
          'The database is not empty. With --force its content is given up for the backup’s',
        );
    if (await hasStackRows(state))
      throw new BackupError('Pulumi’s database has stacks. With --force they are given up for the backup’s');
  } finally {
    await service.end();
    await state.end();
  }
}

/** Whether Pulumi's database has stacks; false where its state is not in Postgres. */
export async function hasStacks(stateUrl: Secret): Promise<boolean> {
  if (!isPostgres(stateUrl)) return false;
  const state = await connect(stateUrl.reveal());
  return hasStackRows(state).finally(() => state.end());
}

const hasStackRows = (state: pg.Client) => hasRows(state, STATE_TABLE, "where key like '%/.pulumi/stacks/%'");
