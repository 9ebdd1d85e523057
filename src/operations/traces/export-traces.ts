import { sql } from 'kysely';
import type { Database } from '../../database/connect.ts';
import { errorMessage } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { type Repeating, repeatEvery } from '../../processes/repeat.ts';
import type { Otlp } from '../../telemetry/otlp.ts';
import type { Trace } from '../../telemetry/span.ts';
import { readTraceRows } from './read-trace.ts';
import { toTrace } from './to-trace.ts';

export interface TraceExportDeps {
  database: Database;
  otlp: Pick<Otlp, 'sendTraces'>;
  operatorUrl: string;
  log: Log;
  /** How often this process looks for operations that have ended; default two seconds. */
  lookSeconds?: number;
  /** How long after its end an operation is sent; default two seconds. */
  graceSeconds?: number;
}

const LOOK_SECONDS = 2;
/** The last spans of an operation may still be on their way into the database. */
const GRACE_SECONDS = 2;
const AT_ONCE = 20;
/** A collector that was away longer than this misses traces. */
const OLDEST = sql.raw(`interval '6 hours'`);
const CLAIM_SECONDS = 60;
const KEPT = sql.raw(`interval '7 days'`);
const LOOKS_PER_CLEANUP = 300;

/**
 * Hands the traces of operations that have ended to a collector. The database is the queue: nothing waits for
 * a collector that is slow or away, nothing piles up in memory, and a trace whose process was killed is sent
 * by another one. A trace may be sent twice, with the same ids.
 */
export function startTraceExport(deps: TraceExportDeps): Repeating {
  const { log, lookSeconds = LOOK_SECONDS } = deps;
  let isAway = false;
  let looks = 0;
  let size = AT_ONCE;
  return repeatEvery(lookSeconds, async () => {
    try {
      while ((await exportDue(deps, size)) === size) {
        isAway = false;
        size = Math.min(AT_ONCE, size * 2);
      }
      size = AT_ONCE;
      if (looks % LOOKS_PER_CLEANUP === 0) await forget(deps.database);
      looks += 1;
      if (isAway) log.info({ event: 'telemetry.restored' }, 'traces are sent again');
      isAway = false;
    } catch (error) {
      // A batch may be too large, or have a trace in it that the collector refuses: alone, that one is found.
      size = Math.max(1, Math.floor(size / 2));
      // One warning for one outage.
      const text = 'could not send traces; they are kept for six hours';
      if (!isAway) log.warn({ event: 'telemetry.traces_failed', error: errorMessage(error) }, text);
      isAway = true;
    }
  });
}

/** @returns how many were sent, or given up */
async function exportDue(deps: TraceExportDeps, size: number): Promise<number> {
  const { database, otlp, operatorUrl, graceSeconds = GRACE_SECONDS } = deps;
  const claimed = await claim(database, { graceSeconds, size });
  if (claimed.length === 0) return 0;
  const ids = claimed.map(({ operationId }) => operationId);
  try {
    const traces: Trace[] = [];
    for (const operationId of ids) {
      const rows = await readTraceRows(database, operationId);
      const agentId = rows?.operation.agent_id ?? '';
      if (rows !== undefined) traces.push(toTrace(rows, `${operatorUrl}/agents/${agentId}`));
    }
    await otlp.sendTraces(traces);
  } catch (error) {
    if (!isRefusal(error) || ids.length > 1) {
      await settle(database, ids, sql`now()`).catch(() => {});
      throw error;
    }
    const fields = { operationId: ids[0], error: errorMessage(error) };
    deps.log.warn({ event: 'telemetry.trace_dropped', ...fields }, 'the collector refuses a trace: given up');
  }
  await settle(database, ids, sql`null`);
  return claimed.length;
}

/** What is about the sender, its token or the moment, and may be mended: no trace is to blame. */
const NOT_ABOUT_THE_TRACE = [401, 403, 404, 405, 407, 408, 429];

/** Whether the collector refuses what was sent, as it will again. The exporters tell the status as `code`. */
function isRefusal(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'number' && code >= 400 && code < 500 && !NOT_ABOUT_THE_TRACE.includes(code);
}

/** Claims ended operations for a minute. One that was retried since is sent again. */
async function claim(
  database: Database,
  { graceSeconds, size }: { graceSeconds: number; size: number },
): Promise<{ operationId: string }[]> {
  const { rows } = await sql<{ operationId: string }>`
    insert into exported_traces as t (operation_id, finished_at, claimed_until)
    select o.operation_id, o.finished_at, now() + make_interval(secs => ${CLAIM_SECONDS})
    from operations o left join exported_traces known using (operation_id)
    where o.finished_at between now() - ${OLDEST} and now() - make_interval(secs => ${graceSeconds})
      and (known.operation_id is null or known.finished_at <> o.finished_at or known.claimed_until <= now())
    order by o.finished_at limit ${size}
    on conflict (operation_id) do update
      set finished_at = excluded.finished_at, claimed_until = excluded.claimed_until
      where t.finished_at <> excluded.finished_at or t.claimed_until <= now()
    returning operation_id as "operationId"`.execute(database);
  return rows;
}

async function settle(
  database: Database,
  operationIds: string[],
  claimedUntil: ReturnType<typeof sql>,
): Promise<void> {
  await sql`update exported_traces set claimed_until = ${claimedUntil}
    where operation_id = any(${operationIds}::uuid[])`.execute(database);
}

/** Spans are for traces, and for a look at what was slow lately. */
async function forget(database: Database): Promise<void> {
  await sql`delete from operation_spans where ended_at < now() - ${KEPT}`.execute(database);
  await sql`delete from exported_traces where finished_at < now() - ${KEPT}`.execute(database);
}
