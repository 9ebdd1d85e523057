import { getAgentForOperation } from '../../agents/for-operation.ts';
import type { AgentRow } from '../../agents/store.ts';
import type { PlanServers } from '../../config/plans.ts';
import type { Transaction } from '../../database/connect.ts';
import { ConflictError } from '../../errors.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { attemptPassword, attemptRole, type Fence } from '../../pulumi/fence.ts';
import type { Queue } from '../../queue/queue.ts';
import type { Secret } from '../../secret.ts';
import { findClaimed } from '../../slots/claimed.ts';
import { beat, ensureBegun, lockFor, type Sender } from './attempts.ts';
import { askLastCheck, type LastCheck, type LastCheckDeps, passLastCheck, UNWANTED } from './last-check.ts';

export interface ClaimDeps extends LastCheckDeps {
  queue: Queue;
  /** Whether traces are collected. */
  isTraced?: boolean | undefined;
  /** The servers of plans that the operator has described; default: none. */
  planServers?: PlanServers | undefined;
  /** Opens the fence that guards the Pulumi state. */
  getFence(): Promise<Fence>;
  /** The Pulumi state's URL and passphrase. Service and runner both derive the attempt's login from them. */
  pulumi: { url: Secret; passphrase: Secret };
}

/** A runner's work. It contains the agent's keys as stored: sealed with a passphrase that the runner has. */
export interface RemoteClaim {
  kind: OperationRow['kind'];
  attempt: number;
  agentId: string;
  region: string;
  location: string;
  plan: string;
  inputs: {
    operation: OperationRow;
    agent: Omit<AgentRow, 'secrets'>;
    /** base64; null until the first provision has recorded them. */
    sealedKeys: string | null;
    /** Whether the attempt has its own login to the Pulumi state. */
    ownLogin: boolean;
    /** The servers of plans that the operator has described. */
    planServers: PlanServers;
    /** Whether the runner is to report spans. */
    isTraced: boolean;
    /** The slot whose server the agent runs on and whose stack is not its own yet. */
    slotId: string | null;
  };
}

/**
 * Begins a dispatched attempt for its runner: evicts earlier attempts from the Pulumi state and creates this
 * one's login. The same runner may claim again. A destroy that is no longer wanted is cancelled instead.
 * @throws NotFoundError, ConflictError; RetryableError if Stripe has to be asked first: the runner asks again
 */
export async function claimForRunner(deps: ClaimDeps, sender: Sender): Promise<RemoteClaim> {
  const check = await askLastCheck(deps, sender);
  const claim = await deps.database.transaction().execute((trx) => begin(deps, trx, sender, check));
  if (claim === undefined) throw new ConflictError(UNWANTED);
  return claim;
}

/** @returns undefined if the operation was cancelled instead, because it is no longer wanted */
async function begin(
  deps: ClaimDeps,
  trx: Transaction,
  sender: Sender,
  check: LastCheck,
): Promise<RemoteClaim | undefined> {
  const row = await lockFor(trx, deps.callbackSecret, sender);
  const begun = await ensureBegun(trx, row, sender, { mayBeginNext: true });
  if (!(await passLastCheck(trx, deps.queue, { begun, check }))) return undefined;
  await beat(trx, begun);
  const { secrets, ...agent } = await getAgentForOperation(trx, begun.agent_id);
  // The agent is locked, so that no other attempt of it begins meanwhile.
  const ownLogin = await enterFence(deps, begun);
  return {
    kind: begun.kind,
    attempt: begun.attempt,
    agentId: agent.agent_id,
    region: agent.region,
    location: agent.location,
    plan: agent.plan,
    inputs: {
      operation: begun,
      agent,
      sealedKeys: secrets === null ? null : secrets.toString('base64'),
      ownLogin,
      planServers: deps.planServers ?? {},
      isTraced: deps.isTraced ?? false,
      slotId: (await findClaimed(trx, agent.agent_id))?.slotId ?? null,
    },
  };
}

/** @returns whether the attempt has its own login */
async function enterFence({ getFence, pulumi }: ClaimDeps, row: OperationRow): Promise<boolean> {
  const fence = await getFence();
  const attempt = { agentId: row.agent_id, operationId: row.operation_id, attempt: row.attempt };
  const password = fence.isHard
    ? attemptPassword(pulumi.passphrase, attemptRole(pulumi.url, attempt))
    : undefined;
  await fence.enter({ ...attempt, password });
  return fence.isHard;
}
