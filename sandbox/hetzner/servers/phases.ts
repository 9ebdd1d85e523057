import { type Expression, sql } from 'kysely';

export type ServerStatus =
  | 'initializing'
  | 'starting'
  | 'running'
  | 'stopping'
  | 'off'
  | 'deleting'
  | 'migrating'
  | 'rebuilding';

/** The server has this status from this time (Unix milliseconds) until the next phase begins. */
export interface Phase {
  status: ServerStatus;
  fromMs: number;
}

/** Returns the status at a given time; phases are sorted by time. */
export function statusAt(phases: readonly Phase[], nowMs: number): ServerStatus {
  return (phases.findLast((phase) => phase.fromMs <= nowMs) ?? phases[0]!).status;
}

/** Returns `statusAt` as an SQL expression on the column `phases`. */
export function statusInSql(nowMs: number): Expression<string> {
  return sql`(select phase ->> 'status' from jsonb_array_elements(phases) with ordinality as phases (phase, position)
    where (phase ->> 'fromMs')::bigint <= ${nowMs} order by position desc limit 1)`;
}

/** Returns when a machine begins to boot; undefined if it does not. */
export function bootBegins(phases: readonly Phase[]): number | undefined {
  return phases.find((phase) => phase.status === 'starting' || phase.status === 'running')?.fromMs;
}

/** Phases of a new server: created in `createMs`, then, if it starts at all, started in `startMs`. */
export function creation(nowMs: number, createMs: number, startMs: number, starts: boolean): Phase[] {
  const initializing: Phase = { status: 'initializing', fromMs: nowMs };
  const createdMs = nowMs + createMs;
  if (!starts) return [initializing, { status: 'off', fromMs: createdMs }];
  return [
    initializing,
    { status: 'starting', fromMs: createdMs },
    { status: 'running', fromMs: createdMs + startMs },
  ];
}

/** Phases of a failed creation: the server exists but never starts. */
export function failedCreation(nowMs: number, createMs: number): Phase[] {
  return creation(nowMs, createMs, 0, false);
}

/** Phases from the current status via `through` to `to` within `lengthMs`; none if it is already `to`. */
export function transition(
  from: ServerStatus,
  through: ServerStatus,
  to: ServerStatus,
  nowMs: number,
  lengthMs: number,
): Phase[] {
  if (from === to) return [{ status: from, fromMs: nowMs }];
  return [
    { status: through, fromMs: nowMs },
    { status: to, fromMs: nowMs + lengthMs },
  ];
}

/** Phases via `through` and back to the status before: a reboot, or a failing action. */
export function detour(from: ServerStatus, through: ServerStatus, nowMs: number, lengthMs: number): Phase[] {
  return [
    { status: through, fromMs: nowMs },
    { status: from, fromMs: nowMs + lengthMs },
  ];
}
