import { setTimeout as pause } from 'node:timers/promises';
import { type Selectable, sql } from 'kysely';
import type { SandboxDatabase } from './database.ts';
import type { DueTable } from './schema.ts';

/** Work for later. `kind` and `key` identify it: scheduling it again replaces the time and the payload. */
export interface DueWork {
  kind: string;
  key: string;
  at: Date;
  payload: unknown;
}

/** Runs one piece of due work, possibly more than once. It is retried later if the handler throws. */
// biome-ignore lint/suspicious/noExplicitAny: the payload is what scheduling the same kind stored.
export type DueHandler = (payload: any, context: { attempt: number }) => Promise<void>;

export interface DueLoopOptions {
  /** Ends the loop; the promise of `startDueLoop` resolves once running handlers have settled. */
  signal: AbortSignal;
  /** How often to poll while work is being scheduled or done, 50 ms by default. */
  pollMs?: number;
  /** Concurrent handlers, 16 by default: a webhook that hangs must not delay a boot. */
  concurrency?: number;
  /** Pause after the first failure of a handler, 500 ms by default; doubles up to a minute. */
  retryMs?: number;
}

type DueRow = Pick<Selectable<DueTable>, 'id' | 'kind' | 'at' | 'payload' | 'revision' | 'attempts'>;

const LONGEST_RETRY_MS = 60_000;
/** How often an idle loop polls: a sandbox that nobody uses should cost next to nothing. */
const IDLE_MS = 1000;
/** How long a transaction that schedules work may take to commit before the loop is idle again. */
const COMMIT_MS = 1000;

/** Wakes the loops of this process, of which there is one for each sandbox. */
const scheduled = new EventTarget();
let scheduledAt = 0;

/** Schedules work for `work.at`. In a transaction, it is stored only if the transaction commits. */
export async function scheduleDue(database: SandboxDatabase, work: DueWork): Promise<void> {
  const payload = JSON.stringify(work.payload);
  await database
    .insertInto('due')
    .values({ kind: work.kind, key: work.key, at: work.at, payload })
    .onConflict((conflict) =>
      conflict.columns(['kind', 'key']).doUpdateSet((eb) => ({
        at: eb.ref('excluded.at'),
        payload: eb.ref('excluded.payload'),
        revision: eb('due.revision', '+', 1),
        attempts: 0,
      })),
    )
    .execute();
  announceDue();
}

/** Wakes an idle loop. For work that was stored by a statement of its own. */
export function announceDue(): void {
  scheduledAt = Date.now();
  scheduled.dispatchEvent(new Event('scheduled'));
}

/**
 * Runs stored work once it is due, at least once each, until the signal aborts. A row is deleted only
 * after its handler succeeded, so a kill loses nothing; a handler may schedule its own kind and key again.
 * Only this process knows which work is running: one process at a time may use a sandbox's database.
 */
export async function startDueLoop(
  database: SandboxDatabase,
  handlers: Record<string, DueHandler>,
  options: DueLoopOptions,
): Promise<void> {
  const { signal, pollMs = 50, concurrency = 16, retryMs = 500 } = options;
  const running = new Map<string, Promise<void>>();
  while (!signal.aborted) {
    const slots = concurrency - running.size;
    const soon = await readSoon(database, Object.keys(handlers), [...running.keys()], slots);
    const now = Date.now();
    const next = soon.find(({ at }) => at.getTime() > now);
    for (const row of soon.filter(({ at }) => at.getTime() <= now)) {
      const done = runDue(database, row, handlers[row.kind]!, retryMs);
      running.set(
        row.id,
        done.finally(() => running.delete(row.id)),
      );
    }
    const isBusy = running.size > 0 || now < scheduledAt + COMMIT_MS;
    const untilNext = next === undefined ? IDLE_MS : next.at.getTime() - now;
    if (isBusy) await pause(Math.min(untilNext, pollMs), undefined, { signal }).catch(() => undefined);
    else await untilScheduled(untilNext, signal);
  }
  await Promise.all(running.values());
}

/** Waits so long, or less: until work is scheduled, or the loop is to end. */
async function untilScheduled(milliseconds: number, signal: AbortSignal): Promise<void> {
  const woken = new AbortController();
  const wake = () => woken.abort();
  scheduled.addEventListener('scheduled', wake);
  await pause(milliseconds, undefined, { signal: AbortSignal.any([signal, woken.signal]) }).catch(
    () => undefined,
  );
  scheduled.removeEventListener('scheduled', wake);
}

/** Returns what is due, and what will be before an idle loop polls again, in the order of due times. */
async function readSoon(
  database: SandboxDatabase,
  kinds: string[],
  exceptIds: string[],
  limit: number,
): Promise<DueRow[]> {
  if (limit <= 0) return [];
  try {
    return await database
      .selectFrom('due')
      .select(['id', 'kind', 'at', 'payload', 'revision', 'attempts'])
      .where('at', '<=', new Date(Date.now() + IDLE_MS))
      .where('kind', '=', sql<string>`any(${kinds})`)
      .where('id', '<>', sql<string>`all(${exceptIds}::bigint[])`)
      .orderBy('at')
      .limit(limit)
      .execute();
  } catch {
    return []; // The database is down: the work stays due, and the next poll finds it.
  }
}

async function runDue(
  database: SandboxDatabase,
  row: DueRow,
  handler: DueHandler,
  retryMs: number,
): Promise<void> {
  try {
    await handler(row.payload, { attempt: row.attempts + 1 });
    await database.deleteFrom('due').where('id', '=', row.id).where('revision', '=', row.revision).execute();
  } catch (error) {
    const at = new Date(Date.now() + Math.min(retryMs * 2 ** row.attempts, LONGEST_RETRY_MS));
    await database
      .updateTable('due')
      .set((eb) => ({ at, attempts: eb('attempts', '+', 1), last_error: String(error).slice(0, 1000) }))
      .where('id', '=', row.id)
      .where('revision', '=', row.revision)
      .execute()
      .catch(() => undefined);
  }
}
