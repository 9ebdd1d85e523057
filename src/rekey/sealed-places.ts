import { sql } from 'kysely';
import { RECORD_OWNERS } from '../agents/record-owners.ts';
import type { Database } from '../database/connect.ts';
import { countSealed, isUnderOther, SEALED_TABLES, type SealedTable } from '../keys/count-sealed.ts';
import type { Keyring } from '../keys/keyring.ts';
import { reseal } from '../keys/reseal.ts';

/**
 * Something that is sealed with the passphrase. **Everything that is belongs into `listSealedPlaces`**: a
 * change of the passphrase ends when none of these has anything left under the former one. Not here are the
 * canary and what is kept of former keys (`switch.ts` replaces those in one transaction) and Pulumi's state
 * (`stacks.ts`).
 */
export interface SealedPlace {
  /** As people are told, in the plural. */
  name: string;
  countLeft(): Promise<number>;
  /**
   * Seals some with the present key, so that a kill at any moment leaves each value under one of the two.
   * @param skip ids that no key opened before
   */
  resealSome(skip: readonly string[]): Promise<Resealed>;
}

export interface Resealed {
  /** How many were sealed with the present key. */
  count: number;
  /** The ids of those that neither passphrase opens. */
  unreadable: string[];
}

const AT_ONCE = 100;

export interface SealedDeps {
  database: Database;
  keyring: Keyring;
}

/** Everything that is sealed with the passphrase and is not replaced at once. */
export function listSealedPlaces(deps: SealedDeps): SealedPlace[] {
  const tables = Object.keys(SEALED_TABLES) as SealedTable[];
  return [...tables.map((table) => sealedRows(deps, table)), cloudRecords(deps), snapshotSeals(deps)];
}

/** Labels at Hetzner: whoever keeps them (src/reconcile/records.ts) seals them again, within its quota. */
function cloudRecords({ database, keyring }: SealedDeps): SealedPlace {
  return {
    name: 'records at Hetzner',
    countLeft: async () => {
      const { rows } = await sql<{ left: number }>`
        select count(*)::int as left from cloud_records r join ${RECORD_OWNERS} o on o.id = r.owner_id
        where r.key_id is distinct from ${keyring.current.id} and r.error is null`.execute(database);
      return rows[0]!.left;
    },
    resealSome: async () => ({ count: 0, unreadable: [] }),
  };
}

/** Labels too, which src/snapshots/seals.ts keeps. Those that it could not seal do not hold the change up. */
function snapshotSeals({ database, keyring }: SealedDeps): SealedPlace {
  return {
    name: 'seals of snapshots at Hetzner',
    countLeft: async () => {
      const { rows } = await sql<{ left: number }>`
        select count(*)::int as left from agent_snapshots where status = 'available' and seal_retry_at is null
          and sealed_with is not null and sealed_with <> ${keyring.current.id}`.execute(database);
      return rows[0]!.left;
    },
    resealSome: async () => ({ count: 0, unreadable: [] }),
  };
}

function sealedRows({ database, keyring }: SealedDeps, table: SealedTable): SealedPlace {
  return {
    name: table,
    countLeft: async () => (await countSealed(database, keyring.current.id))[table],
    resealSome: (skip) => resealRows({ database, keyring }, table, skip),
  };
}

/** Rows that others work on are skipped, and come later. */
async function resealRows(
  { database, keyring }: SealedDeps,
  table: SealedTable,
  skip: readonly string[],
): Promise<Resealed> {
  const columns = SEALED_TABLES[table];
  const [name, owner] = [sql.table(table), sql.ref(columns.owner)];
  const id = sql`${sql.ref(columns.id)}::text`;
  const { current } = keyring;
  return database.transaction().execute(async (trx) => {
    const { rows } = await sql<{ id: string; owner: string; secrets: Buffer }>`
      select ${id} as id, ${owner} as owner, secrets from ${name}
      where ${isUnderOther(current.id)} and ${id} <> all(${skip}::text[])
      order by ${id} limit ${AT_ONCE} for no key update skip locked`.execute(trx);
    const unreadable: string[] = [];
    for (const row of rows) {
      const sealed = tryReseal(keyring, row);
      if (sealed === undefined) unreadable.push(row.id);
      else await sql`update ${name} set secrets = ${sealed} where ${id} = ${row.id}`.execute(trx);
    }
    return { count: rows.length - unreadable.length, unreadable };
  });
}

/** Undefined if neither passphrase opens it: an older version did not check the passphrase at the start. */
function tryReseal(
  keyring: Keyring,
  { owner, secrets }: { owner: string; secrets: Buffer },
): Buffer | undefined {
  try {
    return reseal(keyring, keyring.current, owner, secrets);
  } catch {
    return undefined;
  }
}
