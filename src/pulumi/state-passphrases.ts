import type pg from 'pg';
import type { Keyset } from '../keys/keyset.ts';
import { reencrypt, type StateKey, StateKeys, UnreadableStateError } from './state-cipher.ts';
import { readStates } from './state-rows.ts';

/** Moves stacks in the Postgres backend from one passphrase to another, without Pulumi's CLI. */
export interface StatePassphrases {
  /** Which of these passphrases encrypts a stack's secrets; undefined: none, or there is no such stack. */
  find(stackName: string, keysets: readonly Keyset[]): Promise<Keyset | undefined>;
  /** The names of the stacks that have a state, or a former one in their history, under this passphrase. */
  listUnder(keyset: Keyset): Promise<string[]>;
  /** Whether a process of Pulumi's CLI has locked the stack. */
  isLocked(stackName: string): Promise<boolean>;
  /**
   * Moves a stack's state and its former ones, all or none, in one transaction. The contents stay the same,
   * so a kill at any moment leaves a state that one of the two passphrases opens.
   * @returns how many were moved
   * @throws UnreadableStateError
   */
  move(stackName: string, from: Keyset, to: Keyset): Promise<number>;
}

const SALT = '{checkpoint,latest,secrets_providers,state,salt}';

/** @see createPostgresStateStore for the keys of the table */
export function createStatePassphrases(
  pool: pg.Pool,
  { database, project }: { database: string; project: string },
): StatePassphrases {
  const root = `${database}/.pulumi`;
  const keys = new StateKeys();
  const targets = new Map<string, Promise<StateKey>>();
  const stateOf = (stackName: string) => `${root}/stacks/${project}/${stackName}.json`;
  /** The state, its copies, and those in the history; `%` for all stacks. */
  const allOf = (stackName: string) => [
    stateOf(stackName),
    `${root}/backups/${project}/${stackName}/%`,
    `${root}/history/${project}/${stackName}/%.checkpoint.json`,
  ];
  /** All take one salt, so that its key is derived once and not for every stack. */
  const targetFor = (to: Keyset) => {
    const target =
      targets.get(to.id) ?? chooseTarget(pool, { keys, to, like: stateOf('foundation-default') });
    targets.set(to.id, target);
    target.catch(() => targets.delete(to.id));
    return target;
  };
  return {
    find: async (stackName, keysets) => {
      const [state] = await readSalts(pool, [stateOf(stackName)]);
      for (const keyset of state === undefined ? [] : keysets)
        if (await keys.find(keyset, state!.salt)) return keyset;
      return undefined;
    },
    listUnder: async (keyset) => {
      const table = await pool.query<{ name: string | null }>("select to_regclass('pulumi_state') as name");
      if (table.rows[0]?.name === null) return [];
      const found = new Set<string>();
      for (const { key, salt } of await readSalts(pool, allOf('%')))
        if (await keys.find(keyset, salt)) found.add(toStackName(key.slice(`${root}/`.length)));
      return [...found];
    },
    isLocked: async (stackName) => {
      const folders = ['locks', 'locks/organization'];
      const patterns = folders.map((folder) => `${root}/${folder}/${project}/${stackName}/%`);
      const { rows } = await pool.query('select 1 from pulumi_state where key like any($1) limit 1', [
        patterns,
      ]);
      return rows.length > 0;
    },
    move: async (stackName, from, to) => {
      const target = await targetFor(to);
      return inTransaction(pool, (client) =>
        moveAll(client, { patterns: allOf(stackName), keys, from, target }),
      );
    },
  };
}

/** `stacks/<project>/<stack>.json`, or `history/<project>/<stack>/…` */
const toStackName = (path: string) => path.split('/')[2]!.replace(/\.json$/, '');

/** The salts of the states that a passphrase encrypts. */
async function readSalts(
  on: Pick<pg.Pool, 'query'>,
  patterns: string[],
): Promise<{ key: string; salt: string }[]> {
  const rows = await readStates(on, SALT, patterns);
  return rows.flatMap(({ key, value }) => (typeof value === 'string' ? [{ key, salt: value }] : []));
}

/** The key of a foundation that has moved already: other processes find the same one there. */
async function chooseTarget(
  pool: pg.Pool,
  { keys, to, like }: { keys: StateKeys; to: Keyset; like: string },
): Promise<StateKey> {
  const [shared] = await readSalts(pool, [like]);
  return (shared && (await keys.find(to, shared.salt))) ?? keys.create(to);
}

async function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    client.release();
    return result;
  } catch (error) {
    // The server rolls back with the session.
    client.release(true);
    throw error;
  }
}

interface Move {
  patterns: string[];
  keys: StateKeys;
  from: Keyset;
  target: StateKey;
}

async function moveAll(client: pg.PoolClient, { patterns, keys, from, target }: Move): Promise<number> {
  await client.query('select key from pulumi_state where key like any($1) order by key for update', [
    patterns,
  ]);
  let count = 0;
  for (const { key, salt } of await readSalts(client, patterns)) {
    const opened = await keys.find(from, salt);
    if (opened === undefined) continue;
    const { rows } = await client.query<{ data: string }>(
      "select data->>'data' as data from pulumi_state where key = $1",
      [key],
    );
    const moved = reencrypt(Buffer.from(rows[0]!.data, 'base64').toString(), opened, target);
    if (moved.includes(opened.salt)) throw new UnreadableStateError(`${key} names its salt in another way`);
    await client.query('update pulumi_state set data = $2, updated_at = now() where key = $1', [
      key,
      JSON.stringify({ data: Buffer.from(moved).toString('base64') }),
    ]);
    count += 1;
  }
  return count;
}
