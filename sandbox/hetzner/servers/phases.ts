export type ServerStatus =
  | 'initializing'
  | 'starting'
  | 'running'
  | 'stopping'
  | 'off'
  | 'deleting'
  | 'migrating'
  | 'rebuilding';

/** From this moment on (milliseconds since 1970) the server has this status, until the next phase begins. */
export type Phase = { status: ServerStatus; fromMs: number };

/** The status that a course of phases, earliest first, gives at a moment. */
export function statusAt(phases: readonly Phase[], nowMs: number): ServerStatus {
  return (phases.findLast((phase) => phase.fromMs <= nowMs) ?? phases[0]!).status;
}

/** The same as SQL on a jsonb column; `nowMs` is the placeholder of a number. */
export function statusSql(column: string, nowMs: string): string {
  return `(SELECT phase ->> 'status' FROM jsonb_array_elements(${column}) WITH ORDINALITY AS phases (phase, position)
    WHERE (phase ->> 'fromMs')::bigint <= ${nowMs} ORDER BY position DESC LIMIT 1)`;
}

/** When, in this course, a machine begins to boot; undefined where it does not. */
export function bootBegins(phases: readonly Phase[]): number | undefined {
  return phases.find((phase) => phase.status === 'starting' || phase.status === 'running')?.fromMs;
}

/** A new server: created in `createMs`, then, if it is to start, started in `startMs`. */
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

/** A creation that fails: the server is there, and never started. */
export function failedCreation(nowMs: number, createMs: number): Phase[] {
  return creation(nowMs, createMs, 0, false);
}

/** From the present status over `through` to `to` within `lengthMs`; nothing happens if it is there already. */
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

/** Through `through` and back to where it was: a reboot, or something that fails. */
export function detour(from: ServerStatus, through: ServerStatus, nowMs: number, lengthMs: number): Phase[] {
  return [
    { status: through, fromMs: nowMs },
    { status: from, fromMs: nowMs + lengthMs },
  ];
}
