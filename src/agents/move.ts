import { type RawBuilder, sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import type { AgentTable } from '../database/tables.ts';
import { ConflictError } from '../errors.ts';
import { type AgentStatus, EDGES, type EdgeName } from './states.ts';
import { tellChanges } from './tell-change.ts';

type Columns = Partial<Record<keyof AgentTable, string | Buffer | RawBuilder<Date> | null>>;

/**
 * Moves the agent along the edges of this name in states.ts, and tells the change to the audit log and to who
 * wants notices. With `orStays`, an agent that is already in the target state stays there, and the columns
 * are still written.
 * @throws ConflictError if the agent is in any other state
 */
export async function move(
  trx: Transaction,
  agentId: string,
  { by, orStays = false }: { by: EdgeName | readonly EdgeName[]; orStays?: boolean },
  columns: Columns,
): Promise<void> {
  await moveAll(trx, [agentId], { by, orStays }, columns);
}

/** A list of rows, named `given` and with a column `agent_id`, that the columns' expressions read. */
type Given = RawBuilder<unknown>;

/** Like move, for several agents with one statement, and for all of them or none. */
export async function moveAll(
  trx: Transaction,
  agentIds: readonly string[],
  { by, orStays = false }: { by: EdgeName | readonly EdgeName[]; orStays?: boolean },
  columns: Columns,
  given?: Given,
): Promise<void> {
  const names: readonly EdgeName[] = typeof by === 'string' ? [by] : by;
  const edges = EDGES.filter((edge) => names.includes(edge.by));
  const to = edges[0]!.to;
  const from = [...edges.map((edge) => edge.from), ...(orStays ? [to] : [])];
  const set = Object.entries(columns).map(([column, value]) => sql`${sql.ref(column)} = ${value}`);
  const joined = given === undefined ? sql`` : sql`join ${given} on given.agent_id = before.agent_id`;
  const { rows } = await sql<{ agentId: string; before: string; userId: string; error: string | null }>`
    with before as materialized (select agent_id, status from agents
      where agent_id = any(${[...agentIds]}::text[]) order by agent_id for no key update)
    update agents set ${sql.join(set)}, status = ${to}, updated_at = now() from before ${joined}
    where agents.agent_id = before.agent_id and before.status = any(${from}::text[])
    returning agents.agent_id as "agentId", before.status as before, user_id as "userId", error`.execute(trx);
  const missing = agentIds.find((agentId) => !rows.some((row) => row.agentId === agentId));
  if (missing !== undefined) await refuse(trx, missing, to);
  const changes = rows.flatMap(({ before, ...agent }) =>
    edges.filter((edge) => edge.from === before).map((edge) => ({ ...agent, edge })),
  );
  await tellChanges(trx, changes);
}

/** Writes columns without changing the state. @throws ConflictError if the agent is not in `status` */
export async function stay(
  trx: Transaction,
  agentId: string,
  status: AgentStatus,
  columns: Columns,
): Promise<void> {
  if (!(await write(trx, agentId, columns, [status]))) await refuse(trx, agentId, status);
}

/** Writes columns if the agent is in one of the states `from`. @returns whether it was */
export async function write(
  trx: Transaction,
  agentId: string,
  columns: Columns,
  from: readonly AgentStatus[],
): Promise<boolean> {
  const result = await trx
    .updateTable('agents')
    .set({ ...(columns as object), updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .where('status', 'in', from)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

async function refuse(trx: Transaction, agentId: string, to: AgentStatus): Promise<never> {
  const agent = await trx
    .selectFrom('agents')
    .select('status')
    .where('agent_id', '=', agentId)
    .executeTakeFirst();
  throw new ConflictError(`Agent ${agentId} is ${agent?.status ?? 'unknown'} and cannot become ${to}`);
}
