import { randomBytes } from 'node:crypto';
import { type Selectable, sql } from 'kysely';
import { type AgentInputs, SLOT_ID } from '../../stacks/inputs.ts';
import { recordJoinName, refuseForeignDevices } from '../agents/devices.ts';
import { type AgentOutputs, outputColumns } from '../agents/outputs.ts';
import { recordServerName } from '../agents/server-names.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { recovering } from '../database/recovering.ts';
import type { SlotTable } from '../database/slot-tables.ts';
import { cutText, jsonText } from '../database/storable.ts';
import { errorMessage, getFailureCode, LostError } from '../errors.ts';
import { NOT_MADE, toFailure } from './failures.ts';
import { givesWay } from './places.ts';

/** A row of the table of slots. */
export type SlotRow = Selectable<SlotTable>;

/** Where a slot stands and for which plan. */
export interface PoolName {
  project: string;
  location: string;
  plan: string;
}

/** One attempt at the making or removing of a slot. Each of its writes is conditional on all three. */
export interface SlotWork {
  slotId: string;
  attempt: number;
  workerId: string;
}

/** In code points; the columns have the same limits. */
export const LONGEST_ERROR = 8_000;
/** After so many tries a slot that cannot be made is removed. */
const MOST_TRIES = 3;
const RETRY_SECONDS = 10;
const LONGEST_RETRY_SECONDS = 600;

/** Inserts slots that are to be made. Nobody can guess their ids. */
export async function insertSlots(
  database: Database,
  { project, location, plan, fingerprint }: PoolName & { fingerprint: string },
  count: number,
): Promise<void> {
  const newId = () => `slot-${randomBytes(12).toString('hex')}`;
  await database
    .insertInto('slots')
    .values(Array.from({ length: count }, () => ({ slot_id: newId(), project, location, plan, fingerprint })))
    .execute();
}

/** What a worker takes. */
interface Takes {
  /** What it makes servers by and from; one of another release would make something else. */
  fingerprints: readonly string[];
  /** The Hetzner projects that it has; default: all. */
  projects?: readonly string[] | undefined;
  /** Default: both, removals first. */
  status?: 'making' | 'removing';
}

/**
 * Takes the next slot that is to be made or removed. An attempt whose lease has expired is lost, and the next
 * one begins.
 */
export async function takeSlotWork(
  database: Database,
  workerId: string,
  leaseSeconds: number,
  { fingerprints, projects, status }: Takes,
): Promise<SlotRow | undefined> {
  const { rows } = await sql<SlotRow>`
    update slots set attempt = attempt + 1, worker_id = ${workerId}, updated_at = now(),
      tries = tries + (case when lease_until is null then 0 else 1 end),
      lease_until = now() + make_interval(secs => ${leaseSeconds})
    where slot_id = (select slot_id from slots
      where (status = 'removing'
          or (status = 'making' and fingerprint = any(${fingerprints}::text[]) and not ${givesWay}))
        and status = coalesce(${status ?? null}, status)
        and run_after <= now() and not ${recovering}
        and (${projects === undefined} or project = any(${[...(projects ?? [])]}::text[]))
        and (lease_until is null or lease_until < now())
      order by status desc, created_at limit 1 for update skip locked)
    returning *`.execute(database);
  return rows[0];
}

const held = (work: SlotWork) =>
  sql<boolean>`slot_id = ${work.slotId} and attempt = ${work.attempt} and worker_id = ${work.workerId}
    and status in ('making', 'removing')`;

/** Extends the lease. @throws LostError if another attempt has begun */
export async function renewSlotLease(database: Database, work: SlotWork, seconds: number): Promise<void> {
  const { numUpdatedRows } = await database
    .updateTable('slots')
    .set({ lease_until: sql<Date>`now() + make_interval(secs => ${seconds})`, updated_at: sql`now()` })
    .where(held(work))
    .executeTakeFirst();
  if (numUpdatedRows === 0n) throw lost(work);
}

/** Records the step that people see. */
export async function recordSlotStep(database: Database, work: SlotWork, step: string): Promise<void> {
  await database.updateTable('slots').set({ step }).where(held(work)).execute();
}

/** Records names, keys and inputs before anything is created. @throws LostError, ConflictError */
export async function recordSlotInputs(
  database: Database,
  work: SlotWork,
  { inputs, secrets }: { inputs: AgentInputs; secrets: Buffer },
): Promise<void> {
  await recordJoinName(database, work.slotId, inputs);
  await recordServerName(database, work.slotId, inputs);
  const { numUpdatedRows } = await database
    .updateTable('slots')
    .set({ inputs: jsonText(inputs), secrets, updated_at: sql`now()` })
    .where(held(work))
    .executeTakeFirst();
  if (numUpdatedRows === 0n) throw lost(work);
}

const RELEASED = { worker_id: null, lease_until: null };

/**
 * making → ready, with its outputs. It has just answered.
 * @throws LostError
 * @throws ConflictError if an agent has its tailnet device: it could never be handed over
 */
export async function markSlotReady(
  database: Database,
  work: SlotWork,
  outputs: AgentOutputs,
): Promise<void> {
  await database.transaction().execute(async (trx) => {
    await refuseForeignDevices(trx, [{ agentId: work.slotId, outputs }]);
    await settle(trx, work, {
      status: 'ready',
      ...outputColumns(outputs),
      ...RELEASED,
      step: null,
      error: null,
      checked_at: sql<Date>`now()`,
      check_at: sql<Date>`now()`,
      ready_at: sql<Date>`now()`,
    });
  });
}

/** removing → removed, for good. @throws LostError */
export async function markSlotRemoved(database: Database, work: SlotWork): Promise<void> {
  const nothing = { ...outputColumns(null), inputs: null, secrets: null, step: null };
  await settle(database, work, {
    status: 'removed',
    ...nothing,
    ...RELEASED,
    ended_at: sql<Date>`now()`,
  });
}

/**
 * Queues the work again after a failure. A slot that cannot be made is removed; a removal is tried until it
 * succeeds, because something may be billed. @throws LostError
 */
export async function settleSlotFailure(
  database: Database,
  work: SlotWork,
  slot: Pick<SlotRow, 'status' | 'tries'>,
  { error, counts = true }: { error: unknown; counts?: boolean },
): Promise<void> {
  const tries = slot.tries + (counts ? 1 : 0);
  const isMaking = slot.status === 'making';
  const why = {
    error: cutText(errorMessage(error), LONGEST_ERROR),
    // A removal keeps the reason why there is one.
    ...(isMaking && { failure_code: getFailureCode(error) ?? null }),
  };
  if (isMaking && tries >= MOST_TRIES) {
    await settle(database, work, { ...toRemoval(), ...why, ...toFailure(NOT_MADE), ...RELEASED });
    return;
  }
  const seconds = counts ? Math.min(RETRY_SECONDS * 2 ** (tries - 1), LONGEST_RETRY_SECONDS) : 0;
  const run_after = sql<Date>`now() + make_interval(secs => ${seconds})`;
  await settle(database, work, { ...why, ...RELEASED, tries, run_after });
}

/** The columns of a slot that is to be removed, from whatever it was. */
export const toRemoval = () => ({
  status: 'removing' as const,
  agent_id: null,
  tries: 0,
  step: null,
  check_at: null,
  run_after: sql<Date>`now()`,
});

async function settle(database: Database, work: SlotWork, columns: object): Promise<void> {
  const { numUpdatedRows } = await database
    .updateTable('slots')
    .set({ ...columns, updated_at: sql`now()` })
    .where(held(work))
    .executeTakeFirst();
  if (numUpdatedRows === 0n) throw lost(work);
}

const lost = ({ slotId, attempt }: SlotWork) =>
  new LostError(`Attempt ${attempt} at ${slotId} is no longer ours`);

/** Whether an owner's id is a slot's, not an agent's. */
export const isSlot = (ownerId: string): boolean => SLOT_ID.test(ownerId);

/** @throws Error if there is none */
export function getSlot(database: Database, slotId: string): Promise<SlotRow> {
  return database.selectFrom('slots').selectAll().where('slot_id', '=', slotId).executeTakeFirstOrThrow();
}

/** Locks the slot until the transaction ends. */
export async function lockSlot(trx: Transaction, slotId: string): Promise<void> {
  await trx.selectFrom('slots').select('slot_id').where('slot_id', '=', slotId).forUpdate().execute();
}

/**
 * A slot that waits is no longer wanted: it is removed, and never given to anybody. `failureCode`: if it is
 * to blame. @returns whether it waited
 */
export async function retireSlot(
  database: Database,
  slotId: string,
  why: string,
  failureCode: string | null = null,
): Promise<boolean> {
  const { numUpdatedRows } = await database
    .updateTable('slots')
    .set({
      ...toRemoval(),
      ...toFailure(failureCode),
      error: cutText(why, LONGEST_ERROR),
      updated_at: sql`now()`,
    })
    .where('slot_id', '=', slotId)
    .where('status', '=', 'ready')
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}
