import { type RawBuilder, sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import type { AgentTable } from '../database/tables.ts';
import { ConflictError } from '../errors.ts';
import { type AgentStatus, EDGES, type EdgeName } from './states.ts';
import { tellChange } from './tell-change.ts';

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
  const names: readonly EdgeName[] = typeof by === 'string' ? [by] : by;
  const edges = EDGES.filter((edge) => names.includes(edge.by));
  const to = edges[0]!.to;
  const before = await lockStatus(trx, agentId);
  const from = [...edges.map((edge) => edge.from), ...(orStays ? [to] : [])];
  if (!(await write(trx, agentId, { ...columns, status: to }, from))) await refuse(trx, agentId, to);
  const edge = edges.find((one) => one.from === before);
  if (edge !== undefined) await tellChange(trx, agentId, edge);
}

async function lockStatus(trx: Transaction, agentId: string): Promise<AgentStatus | undefined> {
  const agent = await trx
    .selectFrom('agents')
    .select('status')
    .where('agent_id', '=', agentId)
    .forNoKeyUpdate()
    .executeTakeFirst();
  return agent?.status;
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
