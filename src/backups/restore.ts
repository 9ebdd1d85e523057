import type pg from 'pg';
import { migrateDatabase, SCHEMA_VERSION } from '../database/migrations.ts';
import { opensCanary } from '../keys/check-keys.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { Secret } from '../secret.ts';
import type { Header } from './format.ts';
import { BackupError, type Loaded, load, type OpenedBackup, openBackup } from './load.ts';
import { giveUpFormer, prepareSchema, putFormerBack } from './schema-of-backup.ts';
import { connect } from './scratch.ts';
import { settle } from './settle.ts';
import { ensureStateTable, STATE_TABLE } from './state-table.ts';
import { clearTables } from './tables.ts';

export interface RestoreDeps {
  databaseUrl: Secret;
  stateUrl: Secret;
  mode: Header['mode'];
  keyring: Keyring;
}

/**
 * Loads a backup into empty databases, or with `force` into ones whose content is given up. Both change in
 * one transaction each, Pulumi's first: a kill before the second one leaves a service's database that is as
 * it was, and the same command again does all of it. What happened after the backup is found at the clouds:
 * until `rebuild-state` has done so, nothing is made or removed.
 * @throws BackupError that says why not; nothing has changed then
 */
export async function restore(
  deps: RestoreDeps,
  chunks: AsyncIterable<Uint8Array>,
  { force }: { force: boolean },
): Promise<Loaded> {
  const backup = await openBackup(chunks);
  refuseOther(deps, backup.header);
  await refuseUsed(deps, force);
  await prepareSchema(deps.databaseUrl, backup.header.schema);
  try {
    const loaded = await loadAll(deps, backup);
    await migrateDatabase(deps.databaseUrl);
    await giveUpFormer(deps.databaseUrl);
    return loaded;
  } catch (error) {
    await putFormerBack(deps.databaseUrl).catch(() => {});
    throw error;
  }
}

async function loadAll(deps: RestoreDeps, backup: OpenedBackup): Promise<Loaded> {
  const service = await connect(deps.databaseUrl.reveal());
  const state = await connect(deps.stateUrl.reveal());
  try {
    await ensureStateTable(state);
    for (const client of [service, state]) await client.query('begin');
    await clearTables(service);
    await state.query(`delete from ${STATE_TABLE}`);
    const loaded = await load({ service, state }, backup);
    await settle(service);
    await state.query('commit');
    await service.query('commit');
    return loaded;
  } finally {
    await service.end();
    await state.end();
  }
}

/** @throws BackupError if the databases are in use */
async function refuseUsed({ databaseUrl, stateUrl }: RestoreDeps, force: boolean): Promise<void> {
  const service = await connect(databaseUrl.reveal());
  const state = await connect(stateUrl.reveal());
  try {
    for (const table of ['workers', 'processes'])
      if ((await rowsOf(service, table, "where seen_at > now() - interval '15 seconds'")) > 0)
        throw new BackupError(
          'A process of this installation runs, or was killed within the last 15 seconds: stop every one of them first',
        );
    if (force) return;
    if ((await rowsOf(service, 'agents')) + (await rowsOf(service, 'orders')) > 0)
      throw new BackupError(
        'The database is not empty. With --force its content is given up for the backup’s',
      );
    if ((await rowsOf(state, 'pulumi_state', "where key like '%/.pulumi/stacks/%'")) > 0)
      throw new BackupError('Pulumi’s database has stacks. With --force they are given up for the backup’s');
  } finally {
    await service.end();
    await state.end();
  }
}

/** None where there is no such table yet. */
async function rowsOf(client: pg.Client, table: string, where = ''): Promise<number> {
  const known = await client.query('select to_regclass($1) as name', [`public.${table}`]);
  if (known.rows[0]?.name === null) return 0;
  return (await client.query(`select from ${table} ${where} limit 1`)).rowCount ?? 0;
}

function refuseOther({ mode, keyring, stateUrl }: RestoreDeps, header: Header): void {
  if (header.schema > SCHEMA_VERSION)
    throw new BackupError(
      `The backup has schema ${header.schema}, which is newer than this program’s ${SCHEMA_VERSION}`,
    );
  if (header.mode !== mode) throw new BackupError(`The backup is of ${header.mode} mode and MODE is ${mode}`);
  if (header.canary !== null && !opensCanary(keyring, Buffer.from(header.canary, 'base64')))
    throw new BackupError(
      'The backup is of another installation: its keys are sealed with another passphrase',
    );
  if (header.stateDatabase !== null && !/^postgres(ql)?:/.test(stateUrl.reveal()))
    throw new BackupError('The backup has Pulumi’s state, and PULUMI_BACKEND_URL is no Postgres');
}
