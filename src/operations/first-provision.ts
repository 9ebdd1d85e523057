import { audit } from '../agents/audit.ts';
import { insertAgent, type NewAgent } from '../agents/store.ts';
import type { Transaction } from '../database/connect.ts';
import type { Queue } from '../queue/queue.ts';
import { CLAIMS_CHANNEL, claimSlot } from '../slots/claim.ts';
import { insertOperations } from './insert.ts';
import { insertOperation } from './requests.ts';
import type { OperationRow } from './rows.ts';

/** A provision whose agent has claimed a slot waits so long for the hand-over before any worker takes it. */
const HAND_OVER_SECONDS = 6;

/**
 * Queues the provision of a new agent, whose row the transaction has inserted, and claims a slot for it if
 * one fits. `delaySeconds`: what the agent is to be may still change until then, so it claims none.
 */
export async function insertFirstProvision(
  trx: Transaction,
  queue: Queue,
  {
    agent,
    stripeEventId,
    delaySeconds = 0,
  }: {
    agent: { agentId: string; location: string; plan: string };
    stripeEventId?: string | undefined;
    delaySeconds?: number | undefined;
  },
): Promise<OperationRow> {
  const { agentId } = agent;
  const provision = { agentId, kind: 'provision', stripeEventId };
  if (delaySeconds > 0 || !(await claimSlot(trx, agent)))
    return insertOperation(trx, queue, { ...provision, delaySeconds });
  const claimed = { ...provision, delaySeconds: HAND_OVER_SECONDS };
  const [operation] = await insertOperations(trx, [claimed], { channel: CLAIMS_CHANNEL });
  return operation!;
}

/**
 * Inserts a new agent and queues its provision, in the caller's transaction.
 * @throws ConflictError if the id was ever used
 */
export async function requestAgent(
  trx: Transaction,
  queue: Queue,
  request: { agent: NewAgent; actor: string; stripeEventId?: string | undefined },
): Promise<OperationRow> {
  await insertAgent(trx, request.agent);
  const { agentId } = request.agent;
  const { stripeEventId } = request;
  const operation = await insertFirstProvision(trx, queue, { agent: request.agent, stripeEventId });
  await audit(trx, {
    actor: request.actor,
    action: 'agent.create',
    agentId,
    operationId: operation.operation_id,
    details: { ...request.agent, ...(request.stripeEventId && { stripeEventId: request.stripeEventId }) },
  });
  return operation;
}
