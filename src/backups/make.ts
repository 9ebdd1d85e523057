import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { sql } from 'kysely';
import type { BackupConfig } from '../config/backups.ts';
import type { Database } from '../database/connect.ts';
import type { InstallationTable } from '../database/installation-table.ts';
import { cutText } from '../database/storable.ts';
import { withLock } from '../database/with-lock.ts';
import { ConflictError, errorMessage } from '../errors.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { Keyset } from '../keys/keyset.ts';
import type { Log } from '../log.ts';
import type { Secret } from '../secret.ts';
import { BackupError } from './backup-error.ts';
import { dump } from './dump.ts';
import type { Loaded } from './load.ts';
import { connect, verify } from './scratch.ts';
import { seal, unseal } from './seal.ts';
import { isPostgres } from './state-table.ts';
import { openStore, type Store } from './store.ts';

export interface BackupDeps {
  database: Database;
  databaseUrl: Secret;
  /** Pulumi's backend. */
  stateUrl: Secret;
  /** What encrypts a backup for nobody in particular. */
  keyring: Pick<Keyring, 'sealing'>;
  backups: BackupConfig;
  /** For files that are not finished. */
  dataDir: string;
  log: Log;
}

export interface Made {
  backupId: number;
  location: string;
  bytes: number;
  rows: number;
  /** Whether it was restored into a scratch database; with recipients it cannot be opened here. */
  isVerified: boolean;
}

/**
 * Makes a backup of both databases, puts it where backups are kept, restores it into a scratch database, and
 * removes its own that are no longer wanted. A kill leaves a row without an end and at most a file and a
 * scratch database, which the next backup removes; it begins from the start.
 * @throws BackupError, ConflictError if one is being made
 */
export async function makeBackup(deps: BackupDeps): Promise<Made> {
  const { to } = deps.backups;
  if (to === undefined) throw new BackupError('BACKUP_TO says nowhere to put a backup');
  return withLock(deps.database, 'backup', {
    work: () => makeRecorded(deps, openStore(to)),
    taken: () => {
      throw new ConflictError('A backup is being made already');
    },
  });
}

async function makeRecorded(deps: BackupDeps, store: Store): Promise<Made> {
  const backupId = await beginRow(deps.database);
  try {
    const made = await make(deps, store, backupId);
    deps.log.info({ event: 'backup.made', ...made }, `a backup was made: ${made.location}`);
    return made;
  } catch (error) {
    const text = cutText(errorMessage(error), LONGEST_ERROR);
    await endRow(deps.database, backupId, { error: text });
    deps.log.error({ event: 'backup.failed', backupId, error: text }, 'a backup could not be made');
    throw error;
  }
}

const LONGEST_ERROR = 2_000;

async function make(deps: BackupDeps, store: Store, backupId: number): Promise<Made> {
  const folder = await newFolder(deps.dataDir);
  try {
    const own = await readOwn(deps.database);
    const path = join(folder, 'backup.age');
    // Another one may seal by the end.
    const key = deps.keyring.sealing;
    await writeFile(deps, key, path);
    const checked = await check(deps, key, path);
    const location = await store.put(newName(own), path);
    const { size: bytes } = await stat(path);
    const rows = checked?.rows ?? 0;
    await endRow(deps.database, backupId, {
      location,
      bytes,
      row_count: checked === undefined ? null : rows,
      verified_at: checked === undefined ? null : sql<Date>`now()`,
    });
    await removeOld(deps, store, own);
    return { backupId, location, bytes, rows, isVerified: checked !== undefined };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** For the unfinished file. What a killed attempt has left is removed: one is made at a time. */
async function newFolder(dataDir: string): Promise<string> {
  const parent = join(dataDir, 'unfinished-backups');
  await mkdir(parent, { recursive: true, mode: 0o700 });
  for (const name of await readdir(parent))
    if (name.startsWith(MAKING)) await rm(join(parent, name), { recursive: true, force: true });
  return mkdtemp(join(parent, MAKING));
}

const MAKING = 'making-';

async function writeFile(
  { databaseUrl, stateUrl, backups }: BackupDeps,
  key: Keyset,
  path: string,
): Promise<void> {
  const service = await connect(databaseUrl.reveal());
  const state = isPostgres(stateUrl) ? await connect(stateUrl.reveal()) : undefined;
  try {
    const sealed = await seal(dump({ service, state }, key), {
      passphrase: key.passphrase,
      recipients: backups.recipients,
    });
    await pipeline(Readable.from(sealed), createWriteStream(path, { mode: 0o600 }));
  } finally {
    await service.end();
    await state?.end();
  }
}

/** Restores it. One for recipients can be opened only by them. */
async function check(
  { databaseUrl, backups }: BackupDeps,
  key: Keyset,
  path: string,
): Promise<Loaded | undefined> {
  if (backups.recipients.length > 0) return undefined;
  return verify(
    databaseUrl,
    await unseal(createReadStream(path), { passphrases: [key.passphrase], identities: [] }),
    key,
  );
}

/**
 * Only those of this installation: others may keep theirs in the same place. One that cannot be removed does
 * not make the new one worse.
 */
async function removeOld({ backups, log }: BackupDeps, store: Store, own: Own): Promise<void> {
  try {
    const names = (await store.list()).filter((name) => name.startsWith(prefixOf(own)));
    for (const name of names.slice(0, Math.max(0, names.length - backups.keep))) await store.remove(name);
  } catch (error) {
    log.warn(
      { event: 'backup.old_kept', error: errorMessage(error) },
      'a backup was made, and those that are no longer wanted could not be removed',
    );
  }
}

type Own = Pick<InstallationTable, 'mode'> & { installation_id: string };

const prefixOf = ({ mode, installation_id: id }: Own) => `agent-stacks-${mode}-${id}-`;

const newName = (own: Own) =>
  `${prefixOf(own)}${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z-${randomBytes(4).toString('hex')}.age`;

const readOwn = (database: Database): Promise<Own> =>
  database.selectFrom('installation').select(['mode', 'installation_id']).executeTakeFirstOrThrow();

async function beginRow(database: Database): Promise<number> {
  const { backup_id } = await database
    .insertInto('backups')
    .defaultValues()
    .returning('backup_id')
    .executeTakeFirstOrThrow();
  return Number(backup_id);
}

async function endRow(database: Database, backupId: number, columns: object): Promise<void> {
  await database
    .updateTable('backups')
    .set({ ...columns, finished_at: sql<Date>`now()` })
    .where('backup_id', '=', backupId)
    .execute();
}
