import type { Database } from '../database/connect.ts';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import { behindFence } from '../operations/behind-fence.ts';
import { freeRoom } from '../operations/room.ts';
import { inProject, type RunbookParts } from '../operations/runbook-parts.ts';
import { underLease } from '../operations/under-lease.ts';
import type { Lease } from '../processes/lease.ts';
import type { Fence } from '../pulumi/fence.ts';
import type { Queue } from '../queue/queue.ts';
import { makeServer } from '../runbooks/provision.ts';
import { removeEverything } from '../runbooks/steps/remove-everything.ts';
import { releaseGivenUp } from '../slots/make-room.ts';
import {
  markSlotReady,
  markSlotRemoved,
  recordSlotInputs,
  recordSlotStep,
  renewSlotLease,
  type SlotRow,
  type SlotWork,
  settleSlotFailure,
} from '../slots/slots.ts';

export interface SlotAttemptDeps {
  database: Database;
  queue: Queue;
  parts: RunbookParts;
  fence: Fence;
  leaseSeconds: number;
  log: Log;
}

/** How long the making or removing of a slot may take. */
const LIMIT_SECONDS = 30 * 60;

/**
 * Makes or removes a slot with the steps of a provision and a destroy, under a lease and behind the fence as
 * any attempt. Never throws.
 */
export async function runSlotAttempt(
  deps: SlotAttemptDeps,
  slot: SlotRow,
  workerId: string,
  stopping: AbortSignal,
): Promise<void> {
  const { database, log, leaseSeconds } = deps;
  const work: SlotWork = { slotId: slot.slot_id, attempt: slot.attempt, workerId };
  const ids = { slotId: slot.slot_id, attempt: slot.attempt };
  const renew = () => renewSlotLease(database, work, leaseSeconds);
  log.info({ event: 'slot.attempt_started', ...ids, status: slot.status }, `${slot.status} ${slot.slot_id}`);
  const ended = await underLease({ leaseSeconds, limitSeconds: LIMIT_SECONDS, renew, stopping }, (held) =>
    makeOrRemove(deps, slot, { work, ...held }),
  );
  if (ended.status === 'done') {
    log.info({ event: 'slot.attempt_ended', ...ids }, `${slot.slot_id}: done`);
    return;
  }
  const { status, error } = ended;
  log.warn({ event: 'slot.attempt_failed', ...ids, error: errorMessage(error) }, `${slot.slot_id} failed`);
  if (status === 'failed')
    await settleSlotFailure(database, work, slot, { error, counts: !stopping.aborted }).catch(() => {});
  await releaseGivenUp(database, work).catch(() => {});
}

async function makeOrRemove(
  deps: SlotAttemptDeps,
  slot: SlotRow,
  { work, signal, lease }: { work: SlotWork; signal: AbortSignal; lease: Lease },
): Promise<void> {
  const { database, fence, log } = deps;
  const { slot_id: slotId, attempt } = slot;
  const { projects: _, ...others } = inProject(deps.parts, slot.project);
  const parts: RunbookParts = { ...others, recordInputs: toRecorder(database, work) };
  const owned = { ...slot, ownerId: slotId, makes: slot.status === 'making' };
  const told = {
    step: (step: string) => void recordSlotStep(database, work, step).catch(() => {}),
    log: (line: string) => log.debug({ event: 'slot.log', slotId, attempt }, line),
  };
  await behindFence({ fence, log, what: 'a slot' }, owned, { signal, lease, ...told }, async (run) => {
    if (owned.makes) {
      const outputs = await makeServer(parts, run);
      return () => markSlotReady(database, work, outputs);
    }
    await removeEverything(parts, run);
    return () => recordRemoval(deps, slot, work);
  });
}

/** A server's place is free now: the first order that waits for one gets it. */
async function recordRemoval(
  { database, queue }: SlotAttemptDeps,
  { project, inputs, server_id: serverId }: SlotRow,
  work: SlotWork,
): Promise<void> {
  const hadServer = inputs !== null || serverId !== null;
  await database.transaction().execute(async (trx) => {
    await markSlotRemoved(trx, work);
    if (hadServer) await freeRoom(trx, queue, project);
  });
}

const toRecorder =
  (database: Database, work: SlotWork): RunbookParts['recordInputs'] =>
  (_run, prepared) =>
    recordSlotInputs(database, work, prepared);
