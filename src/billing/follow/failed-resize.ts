import { sql } from 'kysely';
import type { Transaction } from '../../database/connect.ts';
import { FAILED_CHANGE_PAUSE_SECONDS } from '../../operations/follow-holds.ts';
import type { Decision } from '../decision.ts';

/** The resizes to a plan that have failed for good, one after another, with none that succeeded since. */
export interface FailedResize {
  plan: string;
  failures: number;
  /** Why the last one failed. */
  error: string;
  /** How long the plan is not asked for again; 0 if that is over. */
  pauseSeconds: number;
}

/** Each failure triples the pause: a resize switches the server off, whether or not it succeeds. */
const GROWTH = 3;
const LONGEST_PAUSE_SECONDS = 24 * 3600;
/** More failures in a row do not change the pause. */
const MOST_COUNTED = 50;

/** How long to wait after this many failures in a row: ten minutes, half an hour, …, a day. */
export function resizePauseSeconds(failures: number): number {
  return Math.min(FAILED_CHANGE_PAUSE_SECONDS * GROWTH ** (failures - 1), LONGEST_PAUSE_SECONDS);
}

/** How long the wanted plan is not asked for again: another plan than the one that failed does not wait. */
export function pauseSecondsFor(wanted: Decision['plan'], failed: FailedResize | undefined): number {
  if (failed === undefined || wanted === 'keep') return 0;
  return wanted.resizeTo === failed.plan ? failed.pauseSeconds : 0;
}

/** Returns undefined if the agent's last resize did not fail. Cancelled ones do not count. */
export async function findFailedResize(trx: Transaction, agentId: string): Promise<FailedResize | undefined> {
  const { rows } = await sql<{ plan: string; failed: boolean; error: string | null; age: number }>`
    select coalesce(parameters->>'plan', '') as plan, status = 'failed' as failed, error,
      extract(epoch from now() - finished_at)::float8 as age
    from operations where agent_id = ${agentId} and kind = 'resize' and status in ('succeeded', 'failed')
    order by sequence desc limit ${MOST_COUNTED}`.execute(trx);
  const [last] = rows;
  if (last?.failed !== true) return undefined;
  const other = rows.findIndex((row) => !row.failed || row.plan !== last.plan);
  const failures = other === -1 ? rows.length : other;
  const pauseSeconds = Math.max(0, resizePauseSeconds(failures) - last.age);
  return { plan: last.plan, failures, error: last.error ?? 'without a reason', pauseSeconds };
}
