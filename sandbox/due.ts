import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import type { Queryable } from './database.ts';

/** A piece of work for later. `kind` and `key` name it: scheduling the same again replaces time and payload. */
export type DueWork = { kind: string; key: string; at: Date; payload: unknown };

/** Carries one piece of due work out. Throwing means: again later. It may run more than once for one piece. */
// biome-ignore lint/suspicious/noExplicitAny: the payload is what the scheduling side of the same kind stored.
export type DueHandler = (payload: any, context: { attempt: number }) => Promise<void>;

export type DueLoopOptions = {
  /** Ends the loop; the promise of `startDueLoop` resolves once running handlers have settled. */
  signal: AbortSignal;
  /** How often to look for due work, 50 ms by default. */
  pollMs?: number;
  /** Handlers at once, 16 by default: a webhook that hangs must not hold up a boot. */
  concurrency?: number;
  /** Pause after the first failure of a handler, 500 ms by default; doubles up to a minute. */
  retryMs?: number;
};

type DueRow = { id: string; kind: string; payload: unknown; revision: number; attempts: number };

/** Stores work for `work.at`. Within a transaction's client it is stored with that transaction, or not at all. */
export async function scheduleDue(db: Queryable, work: DueWork): Promise<void> {
  await db.query(
    `INSERT INTO due (kind, key, at, payload) VALUES ($1, $2, $3, $4)
     ON CONFLICT (kind, key) DO UPDATE
     SET at = excluded.at, payload = excluded.payload, revision = due.revision + 1, attempts = 0`,
    [work.kind, work.key, work.at, JSON.stringify(work.payload)],
  );
}

/**
 * Works stored work off when its time has come, at least once each, until the signal aborts. A row goes only after
 * its handler succeeded, so a kill loses nothing; a handler may schedule its own kind and key again, which is kept.
 * What is being carried out is known to this process only: a sandbox's database has one process on it.
 */
export async function startDueLoop(
  pool: pg.Pool,
  handlers: Record<string, DueHandler>,
  options: DueLoopOptions,
): Promise<void> {
  const { signal, pollMs = 50, concurrency = 16 } = options;
  const running = new Map<string, Promise<void>>();
  while (!signal.aborted) {
    const rows = await readDue(pool, Object.keys(handlers), [...running.keys()], concurrency - running.size);
    for (const row of rows) {
      const handler = handlers[row.kind]!;
      running.set(
        row.id,
        carryOut(pool, row, handler, options.retryMs ?? 500).finally(() => running.delete(row.id)),
      );
    }
    await pause(pollMs, undefined, { signal }).catch(() => undefined);
  }
  await Promise.all(running.values());
}

async function readDue(
  pool: pg.Pool,
  kinds: string[],
  exceptIds: string[],
  limit: number,
): Promise<DueRow[]> {
  if (limit <= 0) return [];
  try {
    const { rows } = await pool.query<DueRow>(
      `SELECT id, kind, payload, revision, attempts FROM due
       WHERE at <= $1 AND kind = ANY($2) AND id <> ALL($3::bigint[]) ORDER BY at LIMIT $4`,
      [new Date(), kinds, exceptIds, limit],
    );
    return rows;
  } catch {
    return []; // The database is away; what is due stays due and is looked for again.
  }
}

async function carryOut(pool: pg.Pool, row: DueRow, handler: DueHandler, retryMs: number): Promise<void> {
  try {
    await handler(row.payload, { attempt: row.attempts + 1 });
    await pool.query('DELETE FROM due WHERE id = $1 AND revision = $2', [row.id, row.revision]);
  } catch (error) {
    const delayMs = Math.min(retryMs * 2 ** row.attempts, 60_000);
    await pool
      .query(
        `UPDATE due SET at = $3, attempts = attempts + 1, last_error = $4 WHERE id = $1 AND revision = $2`,
        [row.id, row.revision, new Date(Date.now() + delayMs), String(error).slice(0, 1000)],
      )
      .catch(() => undefined);
  }
}
