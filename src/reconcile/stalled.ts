import { sql } from 'kysely';
import type { Database, Transaction } from '../database/connect.ts';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import { waitsForNews } from '../operations/claims.ts';
import { appendEvents } from '../operations/events/events.ts';
import { type Repeating, repeatEvery } from '../processes/repeat.ts';
import { readWorkforce, removeStaleWorkers, type Workforce } from './workforce.ts';

export interface StalledSettings {
  /** How long an operation may wait for a worker before its log says so. */
  waitSeconds: number;
  /** How often this process looks for stalled operations. */
  lookSeconds: number;
}

const SETTINGS: StalledSettings = { waitSeconds: 60, lookSeconds: 15 };

/**
 * Reports in an operation's own log that no worker takes it, and why. Every process of an installation does
 * this, so that it also happens when no worker is running.
 */
export function watchStalled(
  deps: { database: Database; log: Log },
  settings: StalledSettings = SETTINGS,
): Repeating {
  return repeatEvery(settings.lookSeconds, async () => {
    try {
      if (await isAnyQueued(deps.database)) await tellStalled(deps, settings.waitSeconds);
    } catch (error) {
      const text = 'could not look for stalled operations';
      deps.log.warn({ event: 'stalled.check_failed', error: errorMessage(error) }, text);
    }
  });
}

async function isAnyQueued(database: Database): Promise<boolean> {
  const queued = await database
    .selectFrom('operations')
    .select('operation_id')
    .where('status', '=', 'queued')
    .limit(1)
    .executeTakeFirst();
  return queued !== undefined;
}

/**
 * Appends a line to the log of every operation that could run and has waited for longer than `waitSeconds`,
 * once per wait. Only one process of the installation does this at a time.
 * @returns the number of stalled operations.
 */
export async function tellStalled(
  { database, log }: { database: Database; log: Log },
  waitSeconds: number,
): Promise<number> {
  return database.transaction().execute(async (trx) => {
    const { rows } = await sql<{ locked: boolean }>`
      select pg_try_advisory_xact_lock(hashtext('stalled'), 0) as locked`.execute(trx);
    if (rows[0]?.locked !== true) return 0;
    await removeStaleWorkers(trx);
    const stalled = await findStalled(trx, waitSeconds);
    const workforce = await readWorkforce(trx);
    for (const operation of stalled) {
      const line = operation.waitsForNews ? WAITS_FOR_NEWS : explainWait(operation, workforce);
      await appendEvents(trx, operation.operationId, operation.attempt, [
        { type: 'log', data: { line, stream: 'service' } },
      ]);
      const { operationId, agentId, kind } = operation;
      log.warn({ event: 'operation.stalled', operationId, agentId, kind }, line);
    }
    return stalled.length;
  });
}

interface Stalled {
  operationId: string;
  agentId: string;
  kind: string;
  attempt: number;
  waitedSeconds: number;
  /** Operations that workers will take before this one. */
  ahead: number;
  /** Whether it waits for an answer of Stripe's, not for a worker. */
  waitsForNews: boolean;
}

const WAITS_FOR_NEWS =
  'This waits until Stripe was asked again: something about the payments of this agent was not read yet';

/**
 * The wait begins when an operation may run: it is due, and its agent has no other operation in progress.
 * Only this module writes to the log of a waiting operation, so a line after the limit means that it has
 * already been reported.
 */
async function findStalled(trx: Transaction, waitSeconds: number): Promise<Stalled[]> {
  const { rows } = await sql<Stalled>`
    with waiting as (
      select o.*, greatest(o.run_after, (
        select max(p.finished_at) from operations p where p.agent_id = o.agent_id)) as waits_since
      from operations o
      where o.status = 'queued' and o.dispatched_at is null and o.run_after <= now() and o.waits_for is null
        and not exists (select 1 from operations p where p.agent_id = o.agent_id
          and (p.status = 'active' or (p.status = 'queued' and p.sequence < o.sequence)))),
    stalled as (
      select w.*, row_number() over (order by w.priority desc, w.sequence) - 1 as ahead from waiting w)
    select s.operation_id as "operationId", s.agent_id as "agentId", s.kind, s.attempt, s.ahead,
      ${waitsForNews} as "waitsForNews",
      extract(epoch from now() - s.waits_since)::int as "waitedSeconds"
    from stalled s join operations o on o.operation_id = s.operation_id
    where s.waits_since < now() - make_interval(secs => ${waitSeconds})
      and not exists (select 1 from operation_events e where e.operation_id = s.operation_id
        and e.type = 'log' and e.at > s.waits_since + make_interval(secs => ${waitSeconds}))
    order by s.sequence
    for no key update of o skip locked`.execute(trx);
  return rows;
}

/** Explains in a sentence why no worker takes the operation. */
export function explainWait(
  { waitedSeconds, ahead }: Pick<Stalled, 'waitedSeconds' | 'ahead'>,
  { workers, slots, active, lastSeenAt }: Workforce,
): string {
  const wait = waitedSeconds < 120 ? `${waitedSeconds} s` : `${Math.floor(waitedSeconds / 60)} minutes`;
  const begin = `No worker has taken this for ${wait}`;
  const before = ahead === 1 ? '1 operation ahead' : `${ahead} operations ahead`;
  if (workers === 0) {
    const last =
      lastSeenAt === null ? 'none has been seen lately' : `last one seen at ${lastSeenAt.toISOString()}`;
    return `${begin}: none is running (${last})`;
  }
  if (active >= slots)
    return `${begin}: ${workers === 1 ? 'the only worker is' : `all ${workers} workers are`} busy (${before})`;
  const free = slots - active;
  return `${begin}, although ${free} of ${slots} slots ${free === 1 ? 'is' : 'are'} free (${before})`;
}
