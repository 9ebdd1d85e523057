import { parseRecordedInputs } from '../agents/inputs.ts';
import type { AgentRow } from '../agents/store.ts';
import type { Database } from '../database/connect.ts';
import { errorMessage, LostError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Attempt } from '../operations/attempt.ts';
import type { OperationRow } from '../operations/rows.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';
import { Lease, leaseTimes } from '../processes/lease.ts';
import type { Fence } from '../pulumi/fence.ts';
import { makeServer } from '../runbooks/provision.ts';
import { removeEverything } from '../runbooks/steps/remove-everything.ts';
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
  const own = new AbortController();
  const signal = AbortSignal.any([own.signal, stopping, AbortSignal.timeout(LIMIT_SECONDS * 1000)]);
  const times = leaseTimes(leaseSeconds);
  const leaseEnd = () => Date.now() + (leaseSeconds - times.safetySeconds) * 1000;
  const lease = new Lease(leaseEnd());
  const beat = async () => {
    const end = leaseEnd();
    try {
      await renewSlotLease(database, work, leaseSeconds);
      lease.renew(end);
    } catch (error) {
      if (error instanceof LostError) own.abort(error);
    }
  };
  const heartbeat = setInterval(() => void beat(), times.heartbeatSeconds * 1000);
  const deadline = setInterval(
    () => Date.now() > lease.until && own.abort(new LostError('The lease ran out')),
    500,
  );
  log.info({ event: 'slot.attempt_started', ...ids, status: slot.status }, `${slot.status} ${slot.slot_id}`);
  try {
    await makeOrRemove(deps, slot, { work, signal, lease });
    log.info({ event: 'slot.attempt_ended', ...ids }, `${slot.slot_id}: done`);
  } catch (thrown) {
    const error = own.signal.aborted ? own.signal.reason : thrown;
    log.warn({ event: 'slot.attempt_failed', ...ids, error: errorMessage(error) }, `${slot.slot_id} failed`);
    if (!(error instanceof LostError) || !own.signal.aborted)
      await settleSlotFailure(database, work, slot, { error, counts: !stopping.aborted }).catch(() => {});
  } finally {
    clearInterval(heartbeat);
    clearInterval(deadline);
  }
}

async function makeOrRemove(
  deps: SlotAttemptDeps,
  slot: SlotRow,
  { work, signal, lease }: { work: SlotWork; signal: AbortSignal; lease: Lease },
): Promise<void> {
  const { database, fence, log } = deps;
  const { slot_id: slotId, work_id: operationId, attempt } = slot;
  const entry = await fence.enter({ agentId: slotId, operationId, attempt });
  const parts = { ...deps.parts, recordInputs: toRecorder(database, work) };
  const run: Attempt = {
    operation: toOperation(slot),
    agent: toAgent(slot),
    signal,
    lease,
    backendUrl: entry.backendUrl,
    step: (step) => void recordSlotStep(database, work, step).catch(() => {}),
    log: (line) => log.debug({ event: 'slot.log', slotId, attempt }, line),
  };
  try {
    signal.throwIfAborted();
    if (slot.status === 'making') await markSlotReady(database, work, await makeServer(parts, run));
    else {
      await removeEverything(parts, run);
      await markSlotRemoved(database, work);
    }
  } finally {
    await entry
      .leave()
      .catch((error: unknown) =>
        log.warn(
          { event: 'fence.leave_failed', error: errorMessage(error) },
          'could not close a slot’s login',
        ),
      );
  }
}

const toRecorder =
  (database: Database, work: SlotWork): RunbookParts['recordInputs'] =>
  (_run, prepared) =>
    recordSlotInputs(database, work, prepared);

/** A slot as the steps see the agents: its id takes the place of the agent's. */
function toAgent(slot: SlotRow): AgentRow {
  return {
    agent_id: slot.slot_id,
    user_id: '',
    project: slot.project,
    region: slot.location,
    location: slot.location,
    plan: slot.plan,
    status: slot.status === 'making' ? 'provisioning' : 'destroying',
    step: null,
    health: 'unknown',
    unhealthy_since: null,
    stack_name: slot.slot_id,
    server_id: slot.server_id,
    server_name: slot.server_name,
    snapshot_id: null,
    ipv4: slot.ipv4,
    ipv6: slot.ipv6,
    tailnet_ip: slot.tailnet_ip,
    tailnet_node_id: slot.tailnet_node_id,
    tailnet_name: slot.tailnet_name,
    subscription_id: null,
    error: slot.error,
    rollback_error: null,
    inputs: parseRecordedInputs(slot.inputs),
    secrets: slot.secrets,
    protected: false,
    plan_chosen_at: null,
    plan_chosen_prices: null,
    search: '',
    server_type: null,
    created_at: slot.created_at,
    updated_at: slot.updated_at,
  };
}

/** The work on a slot as the steps see operations. */
function toOperation(slot: SlotRow): OperationRow {
  return {
    operation_id: slot.work_id,
    sequence: 0,
    agent_id: slot.slot_id,
    kind: slot.status === 'making' ? 'provision' : 'destroy',
    status: 'active',
    parameters: {},
    step: slot.step,
    attempt: slot.attempt,
    retry_count: slot.tries,
    lost_count: 0,
    max_retries: 0,
    executor: 'local',
    priority: -2,
    stripe_event_id: null,
    workflow_run_id: null,
    error: slot.error,
    waits_for: null,
    failed_step: null,
    failure_code: slot.failure_code,
    cancel_requested: false,
    asks_again: false,
    worker_id: slot.worker_id,
    lease_until: slot.lease_until,
    run_after: slot.run_after,
    claimed_at: null,
    last_heartbeat_at: null,
    dispatched_at: null,
    dispatch_failures: 0,
    error_before_dispatch: null,
    polled_at: null,
    result: null,
    report: null,
    created_at: slot.created_at,
    started_at: null,
    finished_at: null,
    updated_at: slot.updated_at,
  };
}
