import { sql } from 'kysely';
import { type Hold, listHolds } from '../../agents/holds.ts';
import type { AgentRow } from '../../agents/store.ts';
import type { Transaction } from '../../database/connect.ts';
import { findBuyers } from '../../notices/buyers.ts';
import { findLastSuspension, listAnnouncements } from '../../notices/queue-notice.ts';
import { FAILED_CHANGE_PAUSE_SECONDS } from '../../operations/follow-holds.ts';
import type { AgentView, QueuedAnnouncement } from '../decision.ts';
import type { SubscriptionRow } from '../subscriptions.ts';
import { type FailedResize, findFailedResize } from './failed-resize.ts';
import type { ActView } from './plan-acts.ts';

/** An agent's rows as far as decisions about it depend on them. */
export interface AgentState {
  agent: AgentRow;
  holds: Hold[];
  announcements: QueuedAnnouncement[];
  /** When it was last switched off for a hold; null if it never was. */
  lastSuspension: Date | null;
  act: ActView;
  /** Where its buyer's mail goes; undefined if no order says it. */
  buyerEmail: string | undefined;
  /** Resizes that have failed for good, if the last one did. */
  failedResize: FailedResize | undefined;
}

/** Reads an agent's state. The caller has locked the agent. */
export async function readAgentState(trx: Transaction, agent: AgentRow): Promise<AgentState> {
  const { agent_id: agentId, status, plan } = agent;
  const holds = await listHolds(trx, agentId);
  const announcements = await listAnnouncements(trx, agentId);
  const lastSuspension = await findLastSuspension(trx, agentId);
  const { rows } = await sql<{ kind: string; plan: string | null; status: string }>`
    select kind, parameters->>'plan' as plan, status from operations
    where agent_id = ${agentId} and (status in ('queued', 'active')
      or ((status = 'failed' or (status = 'cancelled' and kind = 'resize'))
        and finished_at > now() - make_interval(secs => ${FAILED_CHANGE_PAUSE_SECONDS})))`.execute(trx);
  const buyerEmail = (await findBuyers(trx, [agentId])).get(agentId);
  const failedResize = await findFailedResize(trx, agentId);
  const over = rows.filter((row) => row.status === 'failed' || row.status === 'cancelled');
  const act: ActView = {
    status,
    plan,
    holds: holds.map(({ reason }) => reason),
    isBusy: rows.length > over.length,
    paused: [
      ...over.map(({ kind, plan }) => (kind === 'resize' ? `resize to ${plan}` : kind)),
      ...(failedResize !== undefined && failedResize.pauseSeconds > 0
        ? [`resize to ${failedResize.plan}`]
        : []),
    ],
  };
  return { agent, holds, announcements, lastSuspension, act, buyerEmail, failedResize };
}

/** The agent as the decision about one of its subscriptions sees it. */
export function toAgentView(
  { agent, holds, announcements, lastSuspension }: AgentState,
  { unpaid_since: unpaidSince }: Pick<SubscriptionRow, 'unpaid_since'>,
  keepsPlan: boolean,
): AgentView {
  const heldSince = holds.find(({ reason }) => reason === 'payment')?.since;
  return {
    status: agent.status,
    protected: agent.protected,
    plan: agent.plan,
    keepsPlan,
    unpaidSince,
    // A breaker may have kept the suspension back: what follows counts from the day it came.
    suspendedAt: heldSince === undefined ? null : latest(heldSince, lastSuspension),
    announcements,
  };
}

const latest = (one: Date, other: Date | null): Date => (other !== null && other > one ? other : one);
