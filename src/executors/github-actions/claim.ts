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
  /** The way into Pulumi's state. */
  getFence(): Promise<Fence>;
  /** Of Pulumi's state: the attempt's login is derived from both, here and on the runner. */
  pulumi: { url: Secret; passphrase: Secret };
}

/**
 * What a runner is to do. The agent's own keys are in it as the row keeps them: sealed with a passphrase that
 * the runner has.
 */
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
    /** base64; null until the first provision has prepared them. */
    sealedKeys: string | null;
    /** Whether the attempt has a login of its own to Pulumi's state. */
    ownLogin: boolean;
  };
}

/**
 * A runner takes up what was dispatched to it: the attempt begins, earlier ones are put out of Pulumi's
 * state, and it is let in. The same runner may ask again. @throws NotFoundError, ConflictError
 */
export async function claimForRunner(deps: ClaimDeps, sender: Sender): Promise<RemoteClaim> {
  return deps.database.transaction().execute(async (trx) => {
    const row = await lockFor(trx, deps.callbackSecret, sender);
    const begun = await ensureBegun(trx, row, sender, { mayBeginAnew: true });
    await beat(trx, begun);
    const { secrets, ...agent } = await getAgentForOperation(trx, begun.agent_id);
    // Under the lock: no other attempt of this agent begins meanwhile.
    const ownLogin = await letIn(deps, begun);
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

/** @returns whether the attempt has got a login of its own. */
async function letIn({ getFence, pulumi }: ClaimDeps, row: OperationRow): Promise<boolean> {
  const fence = await getFence();
  const attempt = { agentId: row.agent_id, operationId: row.operation_id, attempt: row.attempt };
  const password = fence.isHard
    ? attemptPassword(pulumi.passphrase, attemptRole(pulumi.url, attempt))
    : undefined;
  await fence.enter({ ...attempt, password });
  return fence.isHard;
}
