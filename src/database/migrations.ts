import { type Kysely, sql } from 'kysely';
import { type Migration, type MigrationProvider, Migrator } from 'kysely/migration';
import type { Secret } from '../secret.ts';
import { createDatabase, createPool, type Database } from './connect.ts';
import * as first from './migrations/0001-first.ts';
import * as githubActions from './migrations/0002-github-actions.ts';
import * as health from './migrations/0004-health.ts';
import * as operationParameters from './migrations/0005-operation-parameters.ts';
import * as tailnetIdentity from './migrations/0006-tailnet-identity.ts';
import * as intake from './migrations/0007-intake.ts';
import * as sessions from './migrations/0009-sessions.ts';
import * as liveChecks from './migrations/0010-live-checks.ts';
import * as operationKinds from './migrations/0011-operation-kinds.ts';
import * as holds from './migrations/0012-holds.ts';
import * as hibernation from './migrations/0013-hibernation.ts';
import * as subscriptions from './migrations/0014-subscriptions.ts';
import * as limits from './migrations/0015-limits.ts';
import * as notices from './migrations/0016-notices.ts';
import * as auditChain from './migrations/0017-audit-chain.ts';
import * as plans from './migrations/0018-plans.ts';
import * as secretsProvider from './migrations/0019-secrets-provider.ts';
import * as serverNames from './migrations/0020-server-names.ts';
import * as slots from './migrations/0021-slots.ts';
import * as pages from './migrations/0022-pages.ts';
import * as sweepCycles from './migrations/0023-sweep-cycles.ts';
import * as poolDemands from './migrations/0024-pool-demands.ts';
import * as agentHistory from './migrations/0025-agent-history.ts';
import * as telemetry from './migrations/0027-telemetry.ts';
import * as proposals from './migrations/0028-proposals.ts';
import * as images from './migrations/0029-images.ts';
import * as imageDoubts from './migrations/0030-image-doubts.ts';
import * as people from './migrations/0031-people.ts';
import * as canary from './migrations/0033-canary.ts';
import * as toldChanges from './migrations/0034-told-changes.ts';
import * as rekey from './migrations/0036-rekey.ts';
import * as sweepKeys from './migrations/0037-sweep-keys.ts';
import * as logLevels from './migrations/0038-log-levels.ts';
import * as recovery from './migrations/0039-recovery.ts';
import * as projects from './migrations/0040-projects.ts';
import * as agentSnapshots from './migrations/0041-agent-snapshots.ts';
import * as installationId from './migrations/0042-installation-id.ts';
import * as adoptions from './migrations/0044-adoptions.ts';
import * as poolMisses from './migrations/0045-pool-misses.ts';
import * as recordFormats from './migrations/0047-record-formats.ts';
import * as snapshotSeals from './migrations/0048-snapshot-seals.ts';
import * as room from './migrations/0049-room.ts';
import * as poolErrors from './migrations/0050-pool-errors.ts';
import * as namesAndDrills from './migrations/0052-names-and-drills.ts';
import * as drillServers from './migrations/0053-drill-servers.ts';
import * as furtherOrders from './migrations/0055-further-orders.ts';

/** Every migration by name, oldest first. Never edit a released one. */
const MIGRATIONS: Record<string, Migration> = {
  '0001-first': first,
  '0002-github-actions': githubActions,
  '0004-health': health,
  '0005-operation-parameters': operationParameters,
  '0006-tailnet-identity': tailnetIdentity,
  '0007-intake': intake,
  '0009-sessions': sessions,
  '0010-live-checks': liveChecks,
  '0011-operation-kinds': operationKinds,
  '0012-holds': holds,
  '0013-hibernation': hibernation,
  '0014-subscriptions': subscriptions,
  '0015-limits': limits,
  '0016-notices': notices,
  '0017-audit-chain': auditChain,
  '0018-plans': plans,
  '0019-secrets-provider': secretsProvider,
  '0020-server-names': serverNames,
  '0021-slots': slots,
  '0022-pages': pages,
  '0023-sweep-cycles': sweepCycles,
  '0024-pool-demands': poolDemands,
  '0025-agent-history': agentHistory,
  '0027-telemetry': telemetry,
  '0028-proposals': proposals,
  '0029-images': images,
  '0030-image-doubts': imageDoubts,
  '0031-people': people,
  '0033-canary': canary,
  '0034-told-changes': toldChanges,
  '0036-rekey': rekey,
  '0037-sweep-keys': sweepKeys,
  '0038-log-levels': logLevels,
  '0039-recovery': recovery,
  '0040-projects': projects,
  '0041-agent-snapshots': agentSnapshots,
  '0042-installation-id': installationId,
  '0044-adoptions': adoptions,
  '0045-pool-misses': poolMisses,
  '0047-record-formats': recordFormats,
  '0048-snapshot-seals': snapshotSeals,
  '0049-room': room,
  '0050-pool-errors': poolErrors,
  '0052-names-and-drills': namesAndDrills,
  '0053-drill-servers': drillServers,
  '0055-further-orders': furtherOrders,
};

/**
 * A migration needs tables for itself. One that another session keeps would stop the start without a word,
 * and every statement that queues behind it. Transactions of the service take milliseconds.
 */
const LOCK_TIMEOUT_MS = 60_000;

/** Waiting for another process that migrates has no limit: it comes before the transaction's statements. */
const createProvider = (lockTimeoutMs: number): MigrationProvider => ({
  getMigrations: async () =>
    Object.fromEntries(
      Object.entries(MIGRATIONS).map(([name, { up }]) => [
        name,
        {
          up: async (db) => {
            await sql`select set_config('lock_timeout', ${`${lockTimeoutMs}ms`}, true)`.execute(db);
            await up(db);
          },
        } satisfies Migration,
      ]),
    ),
});

/** The newest migration this code knows. */
export const SCHEMA_VERSION = Object.keys(MIGRATIONS).sort().at(-1)!;

/** Returns the name of the newest migration in the database; undefined if it is empty. */
export async function databaseVersion(database: Database): Promise<string | undefined> {
  const exists = await sql<{
    found: boolean;
  }>`select to_regclass('public.kysely_migration') is not null as found`.execute(database);
  if (!exists.rows[0]?.found) return undefined;
  const newest = await sql<{
    name: string | null;
  }>`select max(name) as name from public.kysely_migration`.execute(database);
  return newest.rows[0]?.name ?? undefined;
}

/**
 * Migrates over a connection of its own, whose statements may take as long as a large table needs.
 * @throws as `migrate` does
 */
export async function migrateDatabase(url: Secret): Promise<void> {
  const database = createDatabase(createPool(url, 1, 'agent-stacks migration', { queryTimeoutMs: 0 }));
  try {
    await migrate(database);
  } finally {
    await database.destroy();
  }
}

/**
 * Migrates the database to this code's schema, or an empty one to an earlier version's (`to`). Concurrent
 * starts wait for each other (Kysely holds a lock).
 * @throws Error if the database is newer than the code, because an old program must not write to it, or if
 * another session keeps a table locked for too long
 */
export async function migrate(
  database: Database,
  { lockTimeoutMs = LOCK_TIMEOUT_MS, to }: { lockTimeoutMs?: number; to?: string } = {},
): Promise<void> {
  const version = await databaseVersion(database);
  if (version !== undefined && version > SCHEMA_VERSION) {
    throw new Error(
      `The database has schema ${version}, which is newer than this program's ${SCHEMA_VERSION}. ` +
        'Start the version of agent-stacks that created it, or a later one.',
    );
  }
  const migrator = new Migrator({ db: database as Kysely<unknown>, provider: createProvider(lockTimeoutMs) });
  const { error } = await (to === undefined ? migrator.migrateToLatest() : migrator.migrateTo(to));
  if (isLockTimeout(error)) throw new Error(LOCKED, { cause: error });
  if (error) throw error;
}

const LOCKED =
  'The database was not migrated, and nothing in it has changed: another session keeps a lock on a table. Find it in pg_stat_activity, let it finish or end it, and start again.';

const isLockTimeout = (error: unknown) => (error as { code?: string } | undefined)?.code === '55P03';
