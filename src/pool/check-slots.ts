import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import { retireSlot } from '../slots/slots.ts';
import type { HealthCheck } from '../tailnet/agent-health.ts';

/**
 * Between two checks of a slot, more or less, so that not all are asked at the same moment. A claim wants an
 * answer of the last twenty seconds.
 */
const INTERVAL_SECONDS = 5;
/** A slot that is silent for this long is removed. */
const SILENT_SECONDS = 30;
const AT_ONCE = 16;

interface Due {
  slotId: string;
  tailnetIp: string;
  silentSeconds: number;
}

export interface Checks {
  health: Pick<HealthCheck, 'isHealthy'>;
  canReach(): Promise<boolean>;
  /** The slots whose last check by this process failed: the caller keeps it. */
  failed: Set<string>;
}

/**
 * Asks every waiting slot whose check is due for its health, and retires those that are silent. Each of them
 * fails two checks of this process before: after a time without a keeper all have been silent for long. The
 * workers of an installation share the slots. @returns the slots that it retired
 */
export async function checkSlots(
  database: Database,
  { health, canReach, failed }: Checks,
  signal: AbortSignal,
): Promise<string[]> {
  const { rows: due } = await sql<Due>`
    update slots set check_at = now() + make_interval(secs => ${INTERVAL_SECONDS} * (0.8 + 0.4 * random()))
    where slot_id in (select slot_id from slots where status = 'ready' and check_at <= now() for update skip locked)
    returning slot_id as "slotId", tailnet_ip as "tailnetIp",
      extract(epoch from now() - checked_at)::float8 as "silentSeconds"`.execute(database);
  if (due.length === 0 || !(await canReach())) return [];
  const healthy: string[] = [];
  const retired: string[] = [];
  const lane = async () => {
    for (let slot = due.pop(); slot !== undefined && !signal.aborted; slot = due.pop()) {
      const isHealthy = await health.isHealthy(slot.tailnetIp, signal);
      if (signal.aborted) return;
      const hadFailed = failed.delete(slot.slotId);
      if (isHealthy) healthy.push(slot.slotId);
      else if (!hadFailed || slot.silentSeconds <= SILENT_SECONDS) failed.add(slot.slotId);
      else if (await retire(database, slot)) retired.push(slot.slotId);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  if (healthy.length > 0)
    await database
      .updateTable('slots')
      .set({ checked_at: sql<Date>`now()` })
      .where('slot_id', 'in', healthy)
      .where('status', '=', 'ready')
      .execute();
  return retired;
}

const retire = (database: Database, { slotId, silentSeconds }: Due) =>
  retireSlot(database, slotId, `It has not answered for ${Math.round(silentSeconds)} s`);
