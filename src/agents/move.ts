import { sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import type { AgentTable } from '../database/tables.ts';
import { ConflictError } from '../errors.ts';
import { type AgentStatus, EDGES, type EdgeName } from './states.ts';

type Columns = Partial<Record<keyof AgentTable, string | Buffer | null>>;

/**
 * Takes the edges of this name in the table of states.ts, and no others. With `orStays`, an agent that is
 * already in the target state stays there, and the columns are written.
 * @throws ConflictError where the agent is in another state.
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
  const from = [...edges.map((edge) => edge.from), ...(orStays ? [to] : [])];
  if (!(await write(trx, agentId, { ...columns, status: to }, from))) await refuse(trx, agentId, to);
}

/** Writes columns of an agent that keeps its state. @throws ConflictError where it is in another state. */
export async function stay(
  trx: Transaction,
  agentId: string,
  status: AgentStatus,
  columns: Columns,
): Promise<void> {
  if (!(await write(trx, agentId, columns, [status]))) await refuse(trx, agentId, status);
}

/** Writes columns of an agent that is in one of these states. @returns whether it was. */
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
