import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import { newAgent } from '../agents/new-agent.ts';
import { findAgent, insertAgent, NoProjectError } from '../agents/store.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { cutText } from '../database/storable.ts';
import type { Actor } from '../database/vocabulary.ts';
import { ConflictError } from '../errors.ts';
import type { HetznerClient } from '../hetzner/hetzner.ts';
import { refreshPrices } from '../limits/prices.ts';
import { priceOfPlan } from '../limits/spend.ts';
import { insertFirstProvision } from '../operations/first-provision.ts';
import { requestHold, requestRelease } from '../operations/hold-requests.ts';
import { requestOperation } from '../operations/requests.ts';
import type { OperationRow } from '../operations/rows.ts';
import type { Queue } from '../queue/queue.ts';
import { ACTS, type Act, SERVERS_MADE } from './acts.ts';
import type { CanaryRun } from './runs.ts';

export interface CanaryDeps {
  database: Database;
  queue: Queue;
  hetzner: Pick<HetznerClient, 'listServerPrices'>;
  now(): Date;
}

const ACTOR = 'canary' satisfies Actor;
/** Without a claim of a slot: a server that waits is for customers. */
const NO_SLOT_SECONDS = 1;
/** Longer than all its acts take together; then it is destroyed. */
const LONGEST_MINUTES = 180;
const LONGEST_ERROR = 2_000;

/**
 * Takes the canary that runs one act further, if its last one has ended. All that it knows is in the rows:
 * its agent's operations say which acts are done. So a kill at any line leaves what the next call, of any
 * worker, goes on with: before the agent's row exists nothing is billed, and from then on every end destroys
 * it.
 */
export async function advanceCanary(deps: CanaryDeps): Promise<void> {
  const { database, queue } = deps;
  const running = await database
    .selectFrom('canary_runs')
    .selectAll()
    .where('status', '=', 'running')
    .executeTakeFirst();
  if (running === undefined) return;
  // Without an answer the prices that are known count; without any it is refused.
  if (running.expected_euros === null) await refreshPrices(deps, deps.now(), true).catch(() => undefined);
  await database.transaction().execute(async (trx) => {
    const run = await trx
      .selectFrom('canary_runs')
      .selectAll()
      .where('run_id', '=', running.run_id)
      .where('status', '=', 'running')
      .forUpdate()
      .skipLocked()
      .executeTakeFirst();
    if (run === undefined) return;
    const agent = await findAgent(trx, run.agent_id);
    if (agent === undefined) await begin(trx, queue, run);
    else await goOn(trx, { ...deps, status: agent.status }, run);
  });
}

async function begin(trx: Transaction, queue: Queue, run: CanaryRun): Promise<void> {
  const agent = newAgent({ agentId: run.agent_id, userId: ACTOR, region: run.region, plan: run.plan });
  const price = await priceOfPlan(trx, agent);
  if (price === undefined) return end(trx, run, 'refused', 'Hetzner has not told the price of its server');
  const expected = price * SERVERS_MADE;
  await trx
    .updateTable('canary_runs')
    .set({ expected_euros: expected })
    .where('run_id', '=', run.run_id)
    .execute();
  if (expected > Number(run.max_euros))
    return end(
      trx,
      run,
      'refused',
      `It would cost ${expected.toFixed(4)} €, which is ${SERVERS_MADE} servers for an hour each; at most ${run.max_euros} € are allowed`,
    );
  try {
    await insertAgent(trx, agent);
  } catch (error) {
    if (!(error instanceof NoProjectError)) throw error;
    return end(trx, run, 'refused', error.message);
  }
  const operation = await insertFirstProvision(trx, queue, { agent, delaySeconds: NO_SLOT_SECONDS });
  await audit(trx, {
    actor: ACTOR,
    action: 'agent.create',
    agentId: run.agent_id,
    operationId: operation.operation_id,
  });
}

async function goOn(trx: Transaction, deps: CanaryDeps & { status: string }, run: CanaryRun): Promise<void> {
  const { queue, status } = deps;
  const operations = await trx
    .selectFrom('operations')
    .selectAll()
    .where('agent_id', '=', run.agent_id)
    .orderBy('sequence')
    .execute();
  const error = run.error ?? findFailure(operations) ?? tooLong(run, deps.now());
  if (error !== undefined && run.error === null)
    await trx
      .updateTable('canary_runs')
      .set({ error: cutText(error, LONGEST_ERROR) })
      .where('run_id', '=', run.run_id)
      .execute();
  if (status === 'destroyed') return finish(trx, run, error);
  const isBusy = operations.some((one) => one.status === 'queued' || one.status === 'active');
  if (isBusy && (error === undefined || status === 'destroying')) return;
  const act = error === undefined ? nextAct(operations) : 'destroy';
  if (act !== undefined) await request(trx, queue, run.agent_id, act, deps.now());
}

/** A rollback and a destroy are tried again by themselves. */
function findFailure(operations: readonly OperationRow[]): string | undefined {
  const failed = operations.find(
    (one) =>
      (one.status === 'failed' || one.status === 'cancelled') && isAct(one.kind) && one.kind !== 'destroy',
  );
  return (
    failed &&
    `Its ${failed.kind} ${failed.status === 'failed' ? 'failed' : 'was cancelled'}: ${failed.error ?? 'no reason given'}`
  );
}

const isAct = (kind: string): kind is Act => (ACTS as readonly string[]).includes(kind);

function tooLong({ started_at }: CanaryRun, now: Date): string | undefined {
  const minutes = (now.getTime() - started_at.getTime()) / 60_000;
  return minutes > LONGEST_MINUTES ? `It has taken longer than ${LONGEST_MINUTES} minutes` : undefined;
}

function nextAct(operations: readonly OperationRow[]): Act | undefined {
  return ACTS.find((act) => !operations.some(({ kind, status }) => kind === act && status === 'succeeded'));
}

/** An act that is not possible yet is requested again by the next call. */
async function request(trx: Transaction, queue: Queue, agentId: string, act: Act, at: Date): Promise<void> {
  const held = { agentId, reason: 'operator', note: 'a canary', actor: ACTOR } as const;
  await sql`savepoint act`.execute(trx);
  try {
    if (act === 'suspend') await requestHold(trx, queue, { ...held, at });
    else if (act === 'wake') await requestRelease(trx, queue, held);
    else await requestOperation(trx, queue, { agentId, kind: act, actor: ACTOR });
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    await sql`rollback to savepoint act`.execute(trx);
  }
}

async function finish(trx: Transaction, run: CanaryRun, error: string | undefined): Promise<void> {
  if (error !== undefined) return end(trx, run, 'failed', error);
  const receipt = await trx
    .selectFrom('receipts')
    .select('receipt_id')
    .where('agent_id', '=', run.agent_id)
    .where('kind', '=', 'destroy')
    .executeTakeFirst();
  if (receipt === undefined)
    return end(trx, run, 'failed', 'Nothing proves that its server, key and device are gone');
  return end(trx, run, 'succeeded', null);
}

async function end(
  trx: Transaction,
  { run_id: runId }: CanaryRun,
  status: 'succeeded' | 'failed' | 'refused',
  error: string | null,
): Promise<void> {
  await trx
    .updateTable('canary_runs')
    .set({ status, error: error === null ? null : cutText(error, LONGEST_ERROR), finished_at: sql`now()` })
    .where('run_id', '=', runId)
    .execute();
}
