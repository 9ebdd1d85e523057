import { audit } from '../agents/audit.ts';
import { setRequestedPlan } from '../agents/lifecycle.ts';
import type { AgentRow } from '../agents/store.ts';
import type { Transaction } from '../database/connect.ts';
import { findHoldingBreaker } from './admission.ts';

/**
 * Gives an agent another plan while nothing of it exists yet, unless that would cost too much: then its
 * resize waits for a person later. The caller has locked the agent.
 * @returns whether the agent has the plan now
 */
export async function changeRequestedPlan(
  trx: Transaction,
  {
    agent,
    plan,
    cause,
    actor,
    at,
  }: { agent: AgentRow; plan: string; cause: string; actor: string; at: Date },
): Promise<boolean> {
  const { agent_id: agentId } = agent;
  const change = { agentId, kind: 'resize', parameters: { plan }, actor, cause };
  if ((await findHoldingBreaker(trx, change, agent, at)) !== undefined) return false;
  if (!(await setRequestedPlan(trx, agentId, plan))) return false;
  await audit(trx, { actor, action: 'agent.plan', agentId, details: { plan, before: agent.plan, cause } });
  return true;
}
