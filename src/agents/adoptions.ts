import { sql } from 'kysely';
import type { Adopting } from '../../stacks/inputs.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { jsonText } from '../database/storable.ts';
import { ConflictError } from '../errors.ts';
import { recordServerName } from './server-names.ts';
import { findAgent, type NewAgent, whyTaken } from './store.ts';

export interface NewAdoption {
  agent: NewAgent;
  project: string;
  adopting: Adopting;
  /** What the server gets instead of its own name, and what it is recorded as. */
  server: { serverName: string; serverType: string; image: string };
  /** The agent's sealed keys. */
  secrets: Buffer;
}

/**
 * Inserts an agent that is to run on a server that was made by hand, before anything of that is touched.
 * @throws ConflictError if the id was ever used, or another agent has the server
 */
export async function insertAdoption(trx: Transaction, wanted: NewAdoption): Promise<void> {
  const { agent, project, adopting, server, secrets } = wanted;
  const { agentId, userId, region, location, plan } = agent;
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('agents')
    .values({
      ...{ agent_id: agentId, user_id: userId, region, location, plan, project, step: 'queued', secrets },
      inputs: jsonText({ ...server, location, project, adopting }),
    })
    .onConflict((conflict) => conflict.column('agent_id').doNothing())
    .executeTakeFirst();
  if (numInsertedOrUpdatedRows === 0n) throw new ConflictError(whyTaken((await findAgent(trx, agentId))!));
  await recordServerName(trx, agentId, server);
  const inserted = await trx
    .insertInto('adoptions')
    .values({ agent_id: agentId, project, server_id: adopting.serverId })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (inserted.numInsertedOrUpdatedRows !== 1n)
    throw new ConflictError(`Another agent has adopted server ${adopting.serverId}, or is about to`);
}

/** A person wants it after all: its owner has another day to let the service in. */
export async function beginAdoptionAgain(trx: Transaction, agentId: string): Promise<void> {
  await trx
    .updateTable('agents')
    .set({ inputs: sql`inputs #- '{adopting,since}' #- '{adopting,isAbandoned}'`, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .execute();
}

/**
 * A person gives up what cannot be undone on the server: the next attempt at the give-back removes the
 * agent's keys and device all the same.
 */
export async function abandonAdoption(trx: Transaction, agentId: string): Promise<void> {
  await trx
    .updateTable('agents')
    .set({ inputs: sql`jsonb_set(inputs, '{adopting,isAbandoned}', 'true')`, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .execute();
}

/** The agent runs on the server: from now on it is the agent's own. */
export async function markServerAdopted(trx: Transaction, agentId: string): Promise<void> {
  await end(trx, agentId, 'adopted');
  await trx
    .updateTable('agents')
    .set({ inputs: sql`inputs - 'adopting'`, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .execute();
}

/** The agent is gone, and its adoption was never complete: the server may be adopted by another. */
export const markGivenBack = (trx: Transaction, agentId: string): Promise<void> =>
  end(trx, agentId, 'given-back');

async function end(trx: Transaction, agentId: string, status: 'adopted' | 'given-back'): Promise<void> {
  await trx
    .updateTable('adoptions')
    .set({ status, ended_at: sql<Date>`now()` })
    .where('agent_id', '=', agentId)
    .where('status', '=', 'pending')
    .execute();
}

/** The server that an agent has adopted, or has failed to; undefined: its server was made for it. */
export function findAdoption(database: Database, agentId: string) {
  return database
    .selectFrom('adoptions')
    .select(['server_id as serverId', 'project', 'status'])
    .where('agent_id', '=', agentId)
    .executeTakeFirst();
}

/** Those of these servers that never became an agent's, whatever their labels and names say. */
export async function listForeignServers(
  database: Database,
  serverIds: readonly string[],
): Promise<Set<string>> {
  const rows = await database
    .selectFrom('adoptions as d')
    .select('server_id')
    .where('server_id', 'in', serverIds.length === 0 ? [''] : [...serverIds])
    .where('status', '<>', 'adopted')
    // A restored backup may be older than the end of the adoption; the agent's row says more.
    .where((row) =>
      row.not(
        row.exists(
          row.selectFrom('agents as a').select('a.agent_id').whereRef('a.server_id', '=', 'd.server_id'),
        ),
      ),
    )
    .execute();
  return new Set(rows.map(({ server_id: id }) => id));
}

/** Why a server is not free: what of ours has it; undefined: nothing. */
export async function findServerOwner(
  database: Database,
  { serverId, name }: { serverId: string; name: string },
): Promise<string | undefined> {
  const { rows } = await sql<{ owner: string }>`
    select 'agent ' || agent_id as owner from agents where server_id = ${serverId}
    union all select slot_id from slots where server_id = ${serverId}
    union all select 'agent ' || agent_id from adoptions where server_id = ${serverId} and status <> 'given-back'
    union all select owner_id from server_names where name = ${name}
    union all select drill_id from snapshot_drills where server_id = ${serverId} or drill_id = ${name} limit 1`.execute(
    database,
  );
  return rows[0]?.owner;
}
