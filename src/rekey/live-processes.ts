import { sql } from 'kysely';
import { type ExecutorName, runsElsewhere } from '../config/executor-name.ts';
import type { Database } from '../database/connect.ts';
import { GONE_SECONDS, RUNNERS } from '../keys/processes.ts';

/** Processes that were heard of lately. Runners of GitHub come and go: what the last one had counts. */
const isLive = sql<boolean>`(role <> 'runner' and seen_at > now() - make_interval(secs => ${GONE_SECONDS}))`;

/** Names the processes, and the runners if they run the operations, that do not have a passphrase. */
export async function listWithout(
  database: Database,
  { keyId, executor }: { keyId: string; executor: ExecutorName },
): Promise<string[]> {
  const processes = await database
    .selectFrom('processes')
    .select(['process_id', 'role'])
    .where(isLive)
    .where(sql<boolean>`not ${keyId} = any(key_ids)`)
    .orderBy('process_id')
    .execute();
  const names = processes.map(({ process_id: id, role }) => `${id} (--role ${role})`);
  if (!runsElsewhere(executor)) return names;
  const runners = await database
    .selectFrom('processes')
    .select('process_id')
    .where('process_id', '=', RUNNERS)
    .where(sql<boolean>`${keyId} = any(key_ids)`)
    .executeTakeFirst();
  return runners === undefined ? [...names, RUNNERS_WITHOUT] : names;
}

const RUNNERS_WITHOUT =
  'the runners (set both secrets in the repository; then the next operation shows it, such as npm run agents -- refresh AGENT)';

/** Whether every live process seals with this key. */
export async function doAllSealWith(database: Database, keyId: string): Promise<boolean> {
  const other = await database
    .selectFrom('processes')
    .select('process_id')
    .where(isLive)
    .where('seals_with', '<>', keyId)
    .limit(1)
    .executeTakeFirst();
  return other === undefined;
}

/** The pairs of passphrases that live processes have, each once; those with one only are left out. */
export async function listChanges(database: Database): Promise<{ to: string; from: string }[]> {
  const { rows } = await sql<{ to: string; from: string }>`
    select distinct key_ids[1] as "to", key_ids[2] as "from" from processes
    where ${isLive} and cardinality(key_ids) = 2`.execute(database);
  return rows;
}
