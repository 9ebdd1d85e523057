import { getAgentForOperation } from '../../agents/for-operation.ts';
import type { AgentRow } from '../../agents/store.ts';
import type { Database } from '../../database/connect.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { attemptPassword, attemptRole, type Fence } from '../../pulumi/fence.ts';
import type { Secret } from '../../secret.ts';
import { beat, ensureBegun, lockFor, type Sender } from './attempts.ts';

export interface ClaimDeps {
  database: Database;
  callbackSecret: Secret;
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
  };
}

/**
 * Begins a dispatched attempt for its runner: evicts earlier attempts from the Pulumi state and creates this
 * one's login. The same runner may claim again.
 * @throws NotFoundError, ConflictError
 */
export async function claimForRunner(deps: ClaimDeps, sender: Sender): Promise<RemoteClaim> {
  return deps.database.transaction().execute(async (trx) => {
    const row = await lockFor(trx, deps.callbackSecret, sender);
    const begun = await ensureBegun(trx, row, sender, { mayBeginNext: true });
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
      },
    };
  });
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
