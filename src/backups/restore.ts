import { createDatabase, createPool } from '../database/connect.ts';
import { migrateDatabase, SCHEMA_VERSION } from '../database/migrations.ts';
import { whileNothingStarts } from '../database/restore-lock.ts';
import { errorMessage } from '../errors.ts';
import { opensCanary } from '../keys/check-keys.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { Secret } from '../secret.ts';
import { BackupError } from './backup-error.ts';
import type { Header } from './format.ts';
import { holdWork, letWork } from './hold-work.ts';
import { refuseRunning, refuseUsed } from './in-use.ts';
import { type Loaded, load, type OpenedBackup, openBackup } from './load.ts';
import { giveUpFormer, prepareSchema, putFormerBack } from './schema-of-backup.ts';
import { connect } from './scratch.ts';
import { settle } from './settle.ts';
import { ensureStateTable, isPostgres, STATE_TABLE } from './state-table.ts';
import { clearTables } from './tables.ts';

export interface RestoreDeps {
  databaseUrl: Secret;
  stateUrl: Secret;
  mode: Header['mode'];
  keyring: Keyring;
}

/**
 * Loads a backup into empty databases, or with `force` into ones whose content is given up. Both change in
 * one transaction each, Pulumi's first. Before, nobody may begin anything on the service's rows any more: a
 * kill between the two leaves them held, and the same command again, with `force`, does all of it. What
 * happened after the backup is found at the clouds: until `rebuild-state` has done so, nothing is made or
 * removed.
 * @throws BackupError that says why not, and unless it says otherwise nothing has changed then
 */
export async function restore(
  deps: RestoreDeps,
  chunks: AsyncIterable<Uint8Array>,
  { force }: { force: boolean },
): Promise<Loaded> {
  const backup = await openBackup(chunks, deps.keyring.all);
  refuseOther(deps, backup.header);
  const pool = createPool(deps.databaseUrl, 1, 'agent-stacks restore lock', { queryTimeoutMs: 0 });
  const work = async () => {
    await refuseRunning(deps);
    await refuseUsed(deps, force);
    return replace(deps, backup);
  };
  try {
    return await whileNothingStarts(createDatabase(pool), work, () => {
      throw new BackupError('A process of this installation starts, or another restore is under way');
    });
  } finally {
    await pool.end();
  }
}

/** How far a restore has come. */
interface Progress {
  /** Whether Pulumi's database may be the backup's: there is no way back from there. */
  isCommitting: boolean;
}

async function replace(deps: RestoreDeps, backup: OpenedBackup): Promise<Loaded> {
  const { databaseUrl } = deps;
  const progress: Progress = { isCommitting: false };
  const before = await holdWork(databaseUrl);
  let isAside = false;
  try {
    isAside = await prepareSchema(databaseUrl, backup.header.schema);
    const loaded = await loadAll(deps, backup, progress);
    await migrateDatabase(databaseUrl);
    return loaded;
  } catch (error) {
    if (progress.isCommitting)
      throw new BackupError(
        `The restore has changed a database and did not come to its end: ${errorMessage(error)}. Run it again with --force`,
        { cause: error },
      );
    await undo(deps, { isAside, before }, error);
    throw error;
  }
}

/** @throws BackupError with both causes if that fails too */
async function undo(
  { databaseUrl }: RestoreDeps,
  { isAside, before }: { isAside: boolean; before: Awaited<ReturnType<typeof holdWork>> },
  cause: unknown,
): Promise<void> {
  try {
    if (isAside) await putFormerBack(databaseUrl);
    await letWork(databaseUrl, before);
  } catch (error) {
    throw new BackupError(
      `${errorMessage(cause)}. What was there before could not be put back: ${errorMessage(error)}. Run it again with --force`,
      { cause },
    );
  }
}

async function loadAll(deps: RestoreDeps, backup: OpenedBackup, progress: Progress): Promise<Loaded> {
  const service = await connect(deps.databaseUrl.reveal());
  const state = await connect(deps.stateUrl.reveal());
  try {
    await ensureStateTable(state);
    for (const client of [service, state]) await client.query('begin');
    await clearTables(service);
    await state.query(`delete from ${STATE_TABLE}`);
    const loaded = await load({ service, state }, backup);
    await settle(service);
    await giveUpFormer(service);
    progress.isCommitting = true;
    await state.query('commit');
    await service.query('commit');
    return loaded;
  } finally {
    await service.end();
    await state.end();
  }
}

function refuseOther({ mode, keyring, stateUrl }: RestoreDeps, header: Header): void {
  if (header.schema > SCHEMA_VERSION)
    throw new BackupError(
      `The backup has schema ${header.schema}, which is newer than this program’s ${SCHEMA_VERSION}`,
    );
  if (header.mode !== mode) throw new BackupError(`The backup is of ${header.mode} mode and MODE is ${mode}`);
  if (header.canary === null)
    throw new BackupError('The backup does not say which passphrase its keys are sealed with');
  if (!opensCanary(keyring, Buffer.from(header.canary, 'base64')))
    throw new BackupError(
      'The backup is of another installation: its keys are sealed with another passphrase',
    );
  if (header.stateDatabase !== null && !isPostgres(stateUrl))
    throw new BackupError('The backup has Pulumi’s state, and PULUMI_BACKEND_URL is no Postgres');
}
