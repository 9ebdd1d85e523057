import { isDeepStrictEqual } from 'node:util';
import { sql } from 'kysely';
import { AGENT_STEPS, type AgentStep } from '../../agents/states.ts';
import { getAgent, setAgentStep } from '../../agents/store.ts';
import { type Transaction, violatedConstraint } from '../../database/connect.ts';
import { jsonText } from '../../database/storable.ts';
import { CancelledError, ConflictError, RetryableError, reportedError } from '../../errors.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { reportedEffect } from '../../operations/effects.ts';
import { appendEvents } from '../../operations/events/events.ts';
import { findOperation } from '../../operations/registry.ts';
import { settleLocked, succeedLocked } from '../../operations/settle.ts';
import { failureCodeIn } from '../../pulumi/errors.ts';
import type { Fence } from '../../pulumi/fence.ts';
import type { Queue } from '../../queue/queue.ts';
import { beat, ensureBegun, getStanding, lockFor, type Sender } from './attempts.ts';
import type { Callback, Report } from './callback.ts';
import {
  askLastCheck,
  awaitsLastCheck,
  type LastCheck,
  type LastCheckDeps,
  passLastCheck,
  UNWANTED,
} from './last-check.ts';
import { readResult } from './result.ts';

export interface ReceiveDeps extends LastCheckDeps {
  queue: Queue;
  getFence(): Promise<Fence>;
  /** Pause after the first failed try; default `RETRY_SECONDS`. */
  retrySeconds?: number | undefined;
}

/** The result of a callback. `changed` is false if it repeated what is already recorded. */
export interface Received {
  changed: boolean;
  operation: OperationRow;
}

/**
 * Processes a runner's report in one transaction. A repeat of what is recorded changes nothing. A runner that
 * implements only the callbacks begins a destroy that the service wants by the first of them: Stripe is asked
 * once more before the answer, and the destroy is cancelled if it is no longer wanted.
 * @throws InvalidInputError
 * @throws RetryableError if the attempt cannot begin yet: the runner reports it again
 * @throws NotFoundError if the job is unknown
 * @throws ConflictError if the report is too late or from another attempt, or if its operation was cancelled
 */
export async function receiveCallback(
  deps: ReceiveDeps,
  callback: Callback,
  token: string | undefined,
): Promise<Received> {
  const taken = await takeChecked(deps, callback, token).catch((error: unknown) => {
    const constraint = violatedConstraint(error);
    if (constraint === undefined) throw error;
    // The database rejects it, e.g. because the server is recorded as another agent's.
    throw new ConflictError(`The report conflicts with recorded data (${constraint})`, {
      cause: error,
    });
  });
  if (taken === 'unwanted') throw new ConflictError(UNWANTED);
  const { received, ended } = taken;
  if (ended) void leaveFence(deps, received.operation).catch(() => {});
  return received;
}

type Taken = { received: Received; ended: boolean };

async function takeChecked(
  deps: ReceiveDeps,
  { jobId, workflowRunId, ...report }: Callback,
  token: string | undefined,
): Promise<Taken | 'unwanted'> {
  const sender: Sender = { jobId, workflowRunId, token };
  const attempt = (check: LastCheck) =>
    deps.database.transaction().execute((trx) => take(trx, deps, { sender, report, check }));
  const taken = await attempt('none');
  if (taken !== 'unchecked') return taken;
  const again = await attempt(await askLastCheck(deps, sender));
  if (again === 'unchecked')
    throw new RetryableError('Whether the operation is still wanted is not known yet');
  return again;
}

/** @returns `unchecked` if nothing was written, because the last check comes first */
async function take(
  trx: Transaction,
  deps: ReceiveDeps,
  { sender, report, check }: { sender: Sender; report: Report; check: LastCheck },
): Promise<Taken | 'unchecked' | 'unwanted'> {
  const row = await lockFor(trx, deps.callbackSecret, sender);
  // A failure needs none: it ends the attempt, and removes nothing.
  if (report.kind === 'failed' || !(await awaitsLastCheck(trx, row)))
    return takeReport(trx, deps, { row, sender, report });
  if (check === 'none') return 'unchecked';
  const begun = await ensureBegun(trx, row, sender, {
    mayBeginNext: report.kind === 'provisioning',
    isEnd: report.kind === 'running',
  });
  if (!(await passLastCheck(trx, deps.queue, { begun, check }))) return 'unwanted';
  const { received, ended } = await takeReport(trx, deps, { row: begun, sender, report });
  return { received: { ...received, changed: true }, ended };
}

async function takeReport(
  trx: Transaction,
  deps: ReceiveDeps,
  { row, sender, report }: { row: OperationRow; sender: Sender; report: Report },
): Promise<Taken> {
  switch (report.kind) {
    case 'heartbeat':
      return { received: await takeHeartbeat(trx, row, sender), ended: false };
    case 'provisioning':
      return { received: await takeStep(trx, row, sender, report.step), ended: false };
    default: {
      if (isRepeat(row, report)) return { received: { changed: false, operation: row }, ended: false };
      const begun = await ensureBegun(trx, row, sender, { mayBeginNext: false, isEnd: true });
      await keepReport(trx, begun, report);
      await (report.kind === 'running' ? succeed(trx, deps, begun, report) : fail(trx, deps, begun, report));
      return { received: { changed: true, operation: begun }, ended: true };
    }
  }
}

/** Closes the attempt's login to the Pulumi state. If that fails, the agent's next attempt closes it. */
async function leaveFence({ getFence }: ReceiveDeps, row: OperationRow): Promise<void> {
  const fence = await getFence();
  await fence.evict({ operationId: row.operation_id, attempt: row.attempt });
}

async function takeHeartbeat(trx: Transaction, row: OperationRow, sender: Sender): Promise<Received> {
  // The runner's heartbeat loop may outlive its last report by a moment.
  if (getStanding(row) === 'over') return { changed: false, operation: row };
  const begun = await ensureBegun(trx, row, sender, { mayBeginNext: false });
  await beat(trx, begun);
  return { changed: true, operation: begun };
}

async function takeStep(
  trx: Transaction,
  row: OperationRow,
  sender: Sender,
  step: string | undefined,
): Promise<Received> {
  const begun = await ensureBegun(trx, row, sender, { mayBeginNext: true });
  const isNew = step !== undefined && step !== begun.step;
  if (isNew) await recordStep(trx, begun, step);
  return { changed: isNew || begun !== row, operation: begun };
}

async function recordStep(trx: Transaction, row: OperationRow, step: string): Promise<void> {
  await trx.updateTable('operations').set({ step }).where('operation_id', '=', row.operation_id).execute();
  if (findOperation(row.kind)?.createsAgent && (AGENT_STEPS as readonly string[]).includes(step))
    await setAgentStep(trx, row.agent_id, step as AgentStep);
  await appendEvents(trx, row.operation_id, row.attempt, [{ type: 'step', data: { step } }]);
  await beat(trx, row);
}

/** Whether the report repeats the one that ended the attempt. */
function isRepeat(row: OperationRow, report: Report): boolean {
  return getStanding(row) !== 'open' && row.report !== null && isDeepStrictEqual(row.report, plain(report));
}

async function keepReport(trx: Transaction, row: OperationRow, report: Report): Promise<void> {
  await trx
    .updateTable('operations')
    .set({ report: jsonText(report), last_heartbeat_at: sql`now()` })
    .where('operation_id', '=', row.operation_id)
    .execute();
}

/** The report as the database returns it, without undefined fields. */
const plain = (report: Report): unknown => JSON.parse(jsonText(report));

async function succeed(
  trx: Transaction,
  { queue, retrySeconds }: ReceiveDeps,
  row: OperationRow,
  report: Extract<Report, { kind: 'running' }>,
): Promise<void> {
  const result = readResult(row);
  if (result?.status === 'failed')
    throw new ConflictError(`The runner has recorded a failure: ${result.message}`);
  const { inputs } = await getAgent(trx, row.agent_id);
  const effect = result?.effect ?? reportedEffect(row, { ...report, serverName: inputs?.serverName });
  try {
    await succeedLocked(trx, queue, row, effect);
  } catch (error) {
    // A destroy was requested meanwhile. It changed the agent's status and will delete what was created.
    if (!(error instanceof ConflictError && row.cancel_requested)) throw error;
    const failure = { error: new CancelledError('Cancelled'), step: row.step ?? 'queued' };
    await settleLocked(trx, queue, row, failure, retrySeconds);
  }
}

async function fail(
  trx: Transaction,
  { queue, retrySeconds }: ReceiveDeps,
  row: OperationRow,
  report: Extract<Report, { kind: 'failed' }>,
): Promise<void> {
  const result = readResult(row);
  const recorded = result?.status === 'failed' ? result : undefined;
  const text = recorded?.message ?? report.error ?? 'The runner reported a failure without a reason';
  const code = recorded?.code ?? failureCodeIn(text);
  const error = reportedError({ name: 'RetryableError', ...recorded, message: text, code });
  const step = report.failedStep ?? recorded?.step ?? row.step ?? 'queued';
  await settleLocked(trx, queue, row, { error, step }, retrySeconds);
}
