import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { agentName, foundationName, IMAGE_ID, SLOT_ID } from '../../stacks/inputs.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { SEALED_TABLES, type SealedTable } from '../keys/count-sealed.ts';
import type { Entry, Fence } from '../pulumi/fence.ts';
import { holdFoundation } from '../runbooks/steps/foundation-store.ts';

type HeldWork = (entry: Pick<Entry, 'backendUrl'>) => Promise<void>;

/**
 * Calls `work` while nothing else can begin to work on the stack, behind a login that the next attempt
 * closes: a process that is paused meanwhile can write nothing later. `foundation`: what foundations are
 * worked on with.
 * @returns whether it was called; not if an attempt has the stack now
 */
export async function withStack(
  {
    database,
    fence,
    foundation,
  }: { database: Database; fence: Fence; foundation: Pick<Entry, 'backendUrl'> },
  stackName: string,
  work: HeldWork,
): Promise<boolean> {
  return database.transaction().execute(async (trx) => {
    const project = projectOf(stackName);
    if (project !== undefined) return holdFoundation(trx, fence, project, () => work(foundation));
    const owner = await lockOwner(trx, stackName);
    if (owner === 'busy') return false;
    const entry = await fence.enter({ agentId: owner, operationId: randomUUID(), attempt: 1 });
    try {
      await work(entry);
    } finally {
      await entry.leave();
    }
    return true;
  });
}

function projectOf(stackName: string): string | undefined {
  const prefix = foundationName('');
  return stackName.startsWith(prefix) ? stackName.slice(prefix.length) : undefined;
}

/** A stack without a row belongs to the id in its name. */
async function lockOwner(trx: Transaction, stackName: string): Promise<string> {
  const id = stackName.replace(agentName(''), '');
  if (SLOT_ID.test(id)) return lockWork(trx, 'slots', id);
  if (IMAGE_ID.test(id)) return lockWork(trx, 'images', id);
  return lockAgent(trx, id);
}

/** A claim takes this lock too, so no operation of the agent begins before the transaction ends. */
async function lockAgent(trx: Transaction, agentId: string): Promise<string> {
  const locked = await trx
    .selectFrom('agents')
    .select('agent_id')
    .where('agent_id', '=', agentId)
    .forNoKeyUpdate()
    .skipLocked()
    .executeTakeFirst();
  if (locked === undefined) return (await exists(trx, 'agents', agentId)) ? 'busy' : agentId;
  // A statement of its own: the one before began before it had the lock.
  const active = await trx
    .selectFrom('operations')
    .select('operation_id')
    .where('agent_id', '=', agentId)
    .where('status', '=', 'active')
    .executeTakeFirst();
  return active === undefined ? agentId : 'busy';
}

/** A slot that an agent has claimed is worked on by the agent's operations. */
async function lockWork(trx: Transaction, table: 'slots' | 'images', id: string): Promise<string> {
  const claimer = table === 'slots' ? sql`agent_id` : sql`null`;
  const { rows } = await sql<{ isFree: boolean; agentId: string | null }>`
    select (lease_until is null or lease_until < now()) as "isFree", ${claimer} as "agentId"
    from ${sql.table(table)} where ${sql.ref(SEALED_TABLES[table].id)} = ${id}
    for no key update skip locked`.execute(trx);
  const [row] = rows;
  if (row === undefined) return (await exists(trx, table, id)) ? 'busy' : id;
  if (!row.isFree) return 'busy';
  return row.agentId !== null && (await lockAgent(trx, row.agentId)) === 'busy' ? 'busy' : id;
}

async function exists(trx: Transaction, table: SealedTable, id: string): Promise<boolean> {
  const { rows } = await sql`
    select 1 from ${sql.table(table)} where ${sql.ref(SEALED_TABLES[table].id)} = ${id}`.execute(trx);
  return rows.length > 0;
}
