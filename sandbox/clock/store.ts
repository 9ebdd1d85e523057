import { type Selectable, sql } from 'kysely';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import type { ClockTable } from './schema.ts';

type ClockRow = Selectable<ClockTable>;

/** How far the clock can be ahead in all: ten years. */
export const FURTHEST_SECONDS = 10 * 366 * 24 * 3600;

export interface ClockState {
  now: Date;
  /** How far the clock is ahead of real time, by all moves that have ended. */
  offsetSeconds: number;
  /** The offset to which a move leads that has not ended; null if there is none. */
  targetSeconds: number | null;
}

/** Reads the clock. Between two moves it runs with real time. */
export async function readClock(database: SandboxDatabase): Promise<ClockState> {
  return toState(await selectClock(database).executeTakeFirstOrThrow());
}

/** Keeps the clock where it is until the transaction ends. Others may do so too. */
export async function holdClock(trx: SandboxTransaction): Promise<void> {
  await sql`select pg_advisory_xact_lock_shared(hashtext('sandbox-clock'))`.execute(trx);
}

/** Reserves the clock for moving it, until the transaction ends. Waits for everybody who holds it. */
export async function reserveClock(trx: SandboxTransaction): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('sandbox-clock'))`.execute(trx);
}

/**
 * Sets a new target, this far beyond the earlier one. The clock stands from here on, until what falls due on
 * the way has run.
 * @returns the target as an offset, or undefined if the clock would be too far ahead
 */
export async function setTarget(database: SandboxDatabase, seconds: number): Promise<number | undefined> {
  return database.transaction().execute(async (trx) => {
    await reserveClock(trx);
    const row = await selectClock(trx).executeTakeFirstOrThrow();
    const target = (row.target_offset_seconds ?? row.offset_seconds) + seconds;
    if (target > FURTHEST_SECONDS) return undefined;
    const position = toState(row).now;
    await trx.updateTable('sandbox_clock').set({ target_offset_seconds: target, position }).execute();
    return target;
  });
}

/** Records how far a move has got. It never goes back, even for work that ran late. */
export async function movePosition(trx: SandboxTransaction, at: Date): Promise<void> {
  await trx
    .updateTable('sandbox_clock')
    .set({ position: at })
    .where('target_offset_seconds', 'is not', null)
    .where('position', '<', at)
    .execute();
}

/** Ends a move that has reached this target, unless a further one was set meanwhile: the clock runs again. */
export async function endMove(trx: SandboxTransaction, targetSeconds: number): Promise<void> {
  await trx
    .updateTable('sandbox_clock')
    .set({ offset_seconds: targetSeconds, target_offset_seconds: null, position: null })
    .where('target_offset_seconds', '=', targetSeconds)
    .execute();
}

/** Returns the time that is this far ahead of real time. */
export function ahead(seconds: number): Date {
  return new Date(Date.now() + seconds * 1000);
}

function selectClock(database: SandboxDatabase) {
  return database.selectFrom('sandbox_clock').selectAll();
}

function toState({ offset_seconds, target_offset_seconds, position }: ClockRow): ClockState {
  return {
    now: position ?? ahead(offset_seconds),
    offsetSeconds: offset_seconds,
    targetSeconds: target_offset_seconds,
  };
}
