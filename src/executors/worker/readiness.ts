import { sql } from 'kysely';
import type { Database, Transaction } from '../../database/connect.ts';
import { appendEvents } from '../../operations/events/events.ts';
import { operationKinds } from '../../operations/registry.ts';
import type { OperationKind } from '../../operations/states.ts';

/** Whether a worker can carry operations out as it is configured, and what they wait for where it cannot. */
export interface Readiness {
  /** Why operations of this kind wait; undefined where nothing is wrong. */
  waitReason(kind: OperationKind): string | undefined;
  /** Looks again now: a try has failed, and the configuration may be why. */
  recheck(): Promise<void>;
}

export function waitingKinds(readiness: Readiness | undefined): OperationKind[] {
  return operationKinds().filter((kind) => readiness?.waitReason(kind) !== undefined);
}

/** A worker is taken for alive for so long after it was last seen. */
const SILENT_SECONDS = 10;

/**
 * Writes on every queued operation that could run why no worker takes it, once for each reason, and takes
 * that back where it is mended. While another worker could take it, nothing is written.
 */
export async function tellWaiting(database: Database, readiness: Readiness): Promise<void> {
  const kinds = waitingKinds(readiness);
  await database
    .updateTable('operations')
    .set({ waits_for: null, updated_at: sql`now()` })
    .where('waits_for', 'is not', null)
    .$if(kinds.length > 0, (query) => query.where('kind', 'not in', kinds))
    .execute();
  for (const kind of kinds) await tellKind(database, kind, readiness.waitReason(kind) ?? '');
}

async function tellKind(database: Database, kind: OperationKind, reason: string): Promise<void> {
  await database.transaction().execute(async (trx) => {
    const told = await trx
      .updateTable('operations as o')
      .set({ waits_for: reason, updated_at: sql`now()` })
      .where('o.status', '=', 'queued')
      .where('o.executor', '=', 'local')
      .where('o.kind', '=', kind)
      .where(sql<boolean>`o.run_after <= now() and o.waits_for is distinct from ${reason}`)
      .where(nobodyElse)
      .returning(['o.operation_id', 'o.attempt'])
      .execute();
    const lately = await toldLately(trx, told, reason);
    for (const row of told.filter(({ operation_id: id }) => !lately.has(id)))
      await appendEvents(trx, row.operation_id, row.attempt, [
        { type: 'log', data: { line: reason, stream: 'service' } },
        { type: 'status', data: { status: 'queued', attempt: row.attempt, error: reason } },
      ]);
  });
}

/** Workers that miss different things take turns in saying so; each says it once in so many minutes. */
const AGAIN_MINUTES = 10;

async function toldLately(
  trx: Transaction,
  operations: readonly { operation_id: string }[],
  reason: string,
): Promise<Set<string>> {
  if (operations.length === 0) return new Set();
  const rows = await trx
    .selectFrom('operation_events')
    .select('operation_id')
    .where(
      'operation_id',
      'in',
      operations.map(({ operation_id: id }) => id),
    )
    .where(sql<boolean>`data->>'line' = ${reason} and at > now() - make_interval(mins => ${AGAIN_MINUTES})`)
    .execute();
  return new Set(rows.map(({ operation_id: id }) => id));
}

/** No live worker whose own checks are all well. */
const nobodyElse = sql<boolean>`not exists (
  select 1 from workers w where w.seen_at > now() - make_interval(secs => ${SILENT_SECONDS})
    and not exists (select 1 from checks c where c.worker_id = w.worker_id and not c.ok and c.blocks))`;

/** The worker stops: what operations wait for from now on is another one. */
export async function stopTelling(database: Database): Promise<void> {
  await database
    .updateTable('operations')
    .set({ waits_for: null })
    .where('waits_for', 'is not', null)
    .execute()
    .catch(() => {});
}
