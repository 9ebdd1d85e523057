import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import { FELL_SILENT } from '../slots/failures.ts';
import { retireSlot } from '../slots/slots.ts';
import type { HealthCheck } from '../tailnet/agent-health.ts';

/**
 * Between two checks of a slot, more or less, so that not all are asked at the same moment. A claim wants an
 * answer of the last twenty seconds.
 */
const INTERVAL_SECONDS = 5;
/** A slot that is silent for this long is removed. */
const SILENT_SECONDS = 30;
/** One that last answered within so long after it was ready may never have been good. */
const NEW_MINUTES = 60;
const AT_ONCE = 16;

interface Due {
  slotId: string;
  tailnetIp: string;
  silentSeconds: number;
  isNew: boolean;
}

export interface Checks {
  health: Pick<HealthCheck, 'isHealthy'>;
  canReach(): Promise<boolean>;
  /** The slots whose last check by this process failed: the caller keeps it. */
  failed: Set<string>;
}

/**
 * Asks the waiting slots whose check is due for their health, and retires those that are silent. Each of them
 * fails two checks of this process before: after a time without a keeper all have been silent for long. The
 * workers of an installation share the slots. `group`: those whose last check failed take long to ask, and
 * the others must not wait for them. @returns the slots that it retired
 */
export async function checkSlots(
  database: Database,
  { health, canReach, failed }: Checks,
  signal: AbortSignal,
  group: 'answering' | 'silent',
): Promise<string[]> {
  const due = await takeDue(database, failed, group);
  if (due.length === 0 || !(await canReach())) return [];
  const record = createRecorder(database);
  const retired: string[] = [];
  const lane = async () => {
    for (let slot = due.pop(); slot !== undefined && !signal.aborted; slot = due.pop()) {
      const isHealthy = await health.isHealthy(slot.tailnetIp, signal);
      if (signal.aborted) return;
      const hadFailed = failed.delete(slot.slotId);
      if (isHealthy) await record(slot.slotId);
      else if (!hadFailed || slot.silentSeconds <= SILENT_SECONDS) failed.add(slot.slotId);
      // The network may have gone away since the first one was asked.
      else if (!(await canReach())) failed.add(slot.slotId);
      else if (await retire(database, slot)) retired.push(slot.slotId);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return retired;
}

async function takeDue(
  database: Database,
  failed: ReadonlySet<string>,
  group: 'answering' | 'silent',
): Promise<Due[]> {
  const { rows } = await sql<Due>`
    update slots set check_at = now() + make_interval(secs => ${INTERVAL_SECONDS} * (0.8 + 0.4 * random()))
    where slot_id in (select slot_id from slots where status = 'ready' and check_at <= now()
      and (slot_id = any(${[...failed]}::text[])) = ${group === 'silent'} for update skip locked)
    returning slot_id as "slotId", tailnet_ip as "tailnetIp",
      extract(epoch from now() - checked_at)::float8 as "silentSeconds",
      checked_at < ready_at + make_interval(mins => ${NEW_MINUTES}) as "isNew"`.execute(database);
  return rows;
}

/** Writes healthy answers down as they come: those that come during a write are in the next one. */
function createRecorder(database: Database): (slotId: string) => Promise<void> {
  let answers: { slotId: string; atMs: number }[] = [];
  let writing: Promise<void> | undefined;
  const write = async () => {
    try {
      while (answers.length > 0) {
        const batch = answers;
        answers = [];
        await recordHealthy(database, batch);
      }
    } finally {
      writing = undefined;
    }
  };
  return (slotId) => {
    answers.push({ slotId, atMs: performance.now() });
    writing ??= write();
    return writing;
  };
}

/** Their times are those of the answers, not of the write. */
async function recordHealthy(
  database: Database,
  answers: readonly { slotId: string; atMs: number }[],
): Promise<void> {
  const ids = answers.map(({ slotId }) => slotId);
  const ages = answers.map(({ atMs }) => (performance.now() - atMs) / 1000);
  await sql`update slots s set checked_at = greatest(s.checked_at, now() - make_interval(secs => given.age))
    from unnest(${ids}::text[], ${ages}::float8[]) as given (slot_id, age)
    where s.slot_id = given.slot_id and s.status = 'ready'`.execute(database);
}

const retire = (database: Database, { slotId, silentSeconds, isNew }: Due) =>
  retireSlot(
    database,
    slotId,
    `It has not answered for ${Math.round(silentSeconds)} s`,
    isNew ? FELL_SILENT : null,
  );
