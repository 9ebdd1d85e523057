import { sql } from 'kysely';
import { parseRecordedInputs, type RecordedInputs } from '../../agents/inputs.ts';
import type { Vault } from '../../agents/secrets.ts';
import { beginProvisions } from '../../agents/store.ts';
import { LEASE_SECONDS } from '../../config/timing.ts';
import { type Database, isDatabaseUnavailable, type Transaction } from '../../database/connect.ts';
import { recovering } from '../../database/recovering.ts';
import { errorMessage } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { Claim, OperationRow } from '../../operations/claims.ts';
import { appendAllEvents } from '../../operations/events/events.ts';
import { beginAllOnWorker } from '../../operations/transitions.ts';
import { type TakenOver, takeFromSlot } from '../../runbooks/steps/hand-over.ts';
import { type ClaimedSlot, findUnserved, takeOverSlots } from '../../slots/claimed.ts';

/** An attempt at a provision that has taken a slot's keys and names over, and not told its server yet. */
export interface Begun {
  claim: Claim;
  agentId: string;
  slot: ClaimedSlot;
  taken: TakenOver;
}

/** Lists the provisions that wait for a hand-over; none while it is not known whose each server is. */
export async function findWaiting(database: Database): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select o.operation_id as id from operations o join slots s on s.agent_id = o.agent_id
    where o.kind = 'provision' and o.status = 'queued' and o.executor = 'local' and s.status = 'claimed'
      and s.served_at is null and not ${recovering}`.execute(database);
  return rows.map(({ id }) => id);
}

export interface BeginDeps {
  database: Database;
  vault: Vault;
  workerId: string;
  leaseSeconds?: number | undefined;
  log: Log;
}

/**
 * Claims these provisions in one transaction; if one of them cannot be, each in its own.
 * @returns those that it has begun, and those that somebody else had locked: a lane, or a request
 */
export async function beginHandOvers(
  deps: BeginDeps,
  operationIds: readonly string[],
): Promise<{ begun: Begun[]; locked: string[] }> {
  try {
    return await deps.database.transaction().execute((trx) => begin(trx, deps, operationIds));
  } catch (error) {
    if (isDatabaseUnavailable(error)) throw error;
    if (operationIds.length > 1) return beginEach(deps, operationIds);
    deps.log.warn(
      { event: 'hand_over.not_begun', operationId: operationIds[0], error: errorMessage(error) },
      'could not begin to hand a server over',
    );
    return { begun: [], locked: [] };
  }
}

/** If the database goes away in between, what has begun goes on, and the others are tried again. */
async function beginEach(deps: BeginDeps, operationIds: readonly string[]) {
  const [begun, locked]: [Begun[], string[]] = [[], []];
  for (const [index, operationId] of operationIds.entries()) {
    try {
      const one = await beginHandOvers(deps, [operationId]);
      begun.push(...one.begun);
      locked.push(...one.locked);
    } catch (error) {
      if (begun.length === 0) throw error;
      locked.push(...operationIds.slice(index));
      break;
    }
  }
  return { begun, locked };
}

/**
 * Claims the operations and makes inputs and keys of the slots the agents'. It wakes no listeners: the end,
 * which follows at once, does.
 */
async function begin(
  trx: Transaction,
  { vault, workerId, leaseSeconds = LEASE_SECONDS }: BeginDeps,
  operationIds: readonly string[],
): Promise<{ begun: Begun[]; locked: string[] }> {
  const queued = await lockQueued(trx, operationIds);
  const slots = await findUnserved(
    trx,
    [...queued.values()].map(({ agent_id: id }) => id),
  );
  const mine = [...queued.values()].filter(({ agent_id: agentId }) => slots.has(agentId));
  const locked = await findLocked(
    trx,
    operationIds.filter((id) => !queued.has(id)),
  );
  if (mine.length === 0) return { begun: [], locked };
  const rows = await beginAllOnWorker(trx, mine, { workerId, leaseSeconds });
  await beginProvisions(
    trx,
    mine.map(({ agent_id: agentId }) => agentId),
  );
  const begun = rows.map(({ operation_id: operationId, agent_id: agentId, attempt }, index): Begun => {
    const slot = slots.get(agentId)!;
    const taken = takeFromSlot(vault, { agent_id: agentId, ...mine[index]!.ofAgent }, slot);
    return { claim: { operationId, attempt, workerId }, agentId, slot, taken };
  });
  await takeOverSlots(
    trx,
    begun.map(({ agentId, slot, taken }) => ({ agentId, slotId: slot.slotId, ...taken })),
  );
  const events = begun.map(({ claim: { operationId, attempt } }) => ({
    operationId,
    attempt,
    events: [
      { type: 'status' as const, data: { status: 'active', attempt } },
      { type: 'step' as const, data: { step: 'handing_over' } },
    ],
  }));
  await appendAllEvents(trx, events, { isQuiet: true });
  return { begun, locked };
}

type Queued = OperationRow & { ofAgent: { inputs: RecordedInputs | null; secrets: Buffer | null } };

/** Locks the operations with their agents, in the order of all requests; skips those that another has. */
async function lockQueued(trx: Transaction, operationIds: readonly string[]): Promise<Map<string, Queued>> {
  const rows = await trx
    .selectFrom('operations as o')
    .innerJoin('agents as a', 'a.agent_id', 'o.agent_id')
    .selectAll('o')
    .select(['a.inputs as agent_inputs', 'a.secrets as agent_secrets'])
    .where('o.operation_id', 'in', [...operationIds])
    .where('o.kind', '=', 'provision')
    .where('o.status', '=', 'queued')
    .where('o.executor', '=', 'local')
    .where(sql<boolean>`not ${recovering}`)
    .forNoKeyUpdate(['o', 'a'])
    .skipLocked()
    .execute();
  const toQueued = ({
    agent_inputs: inputs,
    agent_secrets: secrets,
    ...row
  }: (typeof rows)[number]): Queued => ({
    ...row,
    ofAgent: { inputs: parseRecordedInputs(inputs), secrets },
  });
  return new Map(rows.map((row) => [row.operation_id, toQueued(row)]));
}

/** Those that still wait, although they could not be locked. Once due, they are the worker's places'. */
async function findLocked(trx: Transaction, operationIds: readonly string[]): Promise<string[]> {
  if (operationIds.length === 0) return [];
  const { rows } = await sql<{ id: string }>`
    select operation_id as id from operations where operation_id = any(${[...operationIds]}::uuid[])
      and status = 'queued' and run_after > now() and not ${recovering}`.execute(trx);
  return rows.map(({ id }) => id);
}
