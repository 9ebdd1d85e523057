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

/** The server has this status from this moment (milliseconds since 1970) until the next phase begins. */
export interface Phase {
  status: ServerStatus;
  fromMs: number;
}

/** The status at a moment; phases come earliest first. */
export function statusAt(phases: readonly Phase[], nowMs: number): ServerStatus {
  return (phases.findLast((phase) => phase.fromMs <= nowMs) ?? phases[0]!).status;
}

/** The same as SQL on the column `phases`. */
export function statusInSql(nowMs: number): Expression<string> {
  return sql`(select phase ->> 'status' from jsonb_array_elements(phases) with ordinality as phases (phase, position)
    where (phase ->> 'fromMs')::bigint <= ${nowMs} order by position desc limit 1)`;
}

/** When a machine begins to boot; undefined where it does not. */
export function bootBegins(phases: readonly Phase[]): number | undefined {
  return phases.find((phase) => phase.status === 'starting' || phase.status === 'running')?.fromMs;
}

/** A new server: created in `createMs`, then, if it starts at all, started in `startMs`. */
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

/** A creation that fails: the server exists, and never starts. */
export function failedCreation(nowMs: number, createMs: number): Phase[] {
  return creation(nowMs, createMs, 0, false);
}

/**
 * From the current status over `through` to `to` within `lengthMs`; nothing happens if it is `to` already.
 */
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

/** Over `through` and back to the status before: a reboot, or something that fails. */
export function detour(from: ServerStatus, through: ServerStatus, nowMs: number, lengthMs: number): Phase[] {
  return [
    { status: through, fromMs: nowMs },
    { status: from, fromMs: nowMs + lengthMs },
  ];
}
