import type { ExecutorName } from '../config/executor-name.ts';
import { NO_POOL } from '../config/pool.ts';
import type { Database } from '../database/connect.ts';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import { startPoolKeeper } from '../pool/keeper.ts';
import type { SlotAttemptDeps } from '../pool/slot-attempt.ts';
import { repeatEvery } from '../processes/repeat.ts';

/** What makes and removes servers, opened only if it is needed. */
export interface Remover extends SlotAttemptDeps {
  close(): Promise<void>;
}

const LOOK_SECONDS = 30;

/**
 * Removes slots that an earlier executor has left: this one, by name, hands none over. While there are none
 * it costs a statement now and then.
 */
export function startRemovingSlots(
  {
    database,
    log,
    workerId,
    executor,
  }: { database: Database; log: Log; workerId: string; executor: ExecutorName },
  open: () => Promise<Remover>,
  lookSeconds = LOOK_SECONDS,
): { stop(): Promise<void> } {
  let remover: Remover | undefined;
  let keeper: { stop(): Promise<void> } | undefined;
  const look = async () => {
    try {
      if (keeper !== undefined || !(await isAnyLeft(database))) return;
      log.info({ event: 'pool.leftover', executor }, `removing the slots: ${executor} hands none over`);
      remover = await open();
      keeper = startPoolKeeper({ ...remover, workerId, pool: NO_POOL, canReach: async () => false });
    } catch (error) {
      log.warn({ event: 'pool.leftover_failed', error: errorMessage(error) }, 'could not remove the slots');
    }
  };
  const repeating = repeatEvery(lookSeconds, look);
  void look();
  return {
    stop: async () => {
      await repeating.stop();
      await keeper?.stop();
      await remover?.close();
    },
  };
}

async function isAnyLeft(database: Database): Promise<boolean> {
  const row = await database
    .selectFrom('slots')
    .select('slot_id')
    .where('status', 'in', ['making', 'ready', 'removing'])
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
