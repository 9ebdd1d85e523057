import { sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import type { NoticeType } from '../database/vocabulary.ts';
import { queueNotices } from '../notices/queue-notice.ts';
import { audit } from './audit.ts';
import type { AgentStatus, Edge } from './states.ts';

/** A change of an agent's status; `edge.by` says what caused it. */
export interface AgentChange {
  agentId: string;
  userId: string;
  /** Of the agent, after the change. */
  error: string | null;
  edge: Edge;
}

/** Records changes of agents' status in the audit log, and queues the notices of those that have one. */
export async function tellChanges(trx: Transaction, changes: readonly AgentChange[]): Promise<void> {
  await audit(
    trx,
    ...changes.map(({ agentId, edge: { from, to, by } }) => ({
      actor: 'service',
      action: `agent.became-${to}`,
      agentId,
      details: { from, by },
    })),
  );
  const news = changes.flatMap((change) => {
    const type = noticeFor(change.edge);
    return type === undefined ? [] : [{ ...change, type }];
  });
  if (news.length === 0) return;
  // A canary is nobody's agent.
  const canaries = await listCanaries(trx, news);
  const told = news.filter(({ agentId }) => !canaries.has(agentId));
  if (told.length === 0) return;
  const earlier = await countNotices(trx, told);
  const notices = told.map(({ agentId, userId, error, edge, type }) => {
    const count = (wanted: NoticeType) => earlier.get(`${agentId} ${wanted}`) ?? 0;
    const data = {
      userId,
      status: edge.to,
      ...(type === 'agent.failed' && { error }),
      ...(type === 'agent.running' && { recovered: count('agent.failed') > 0 }),
    };
    // Numbered, because an agent may go the same way again. Its lock keeps the number unique.
    return { type, agentId, key: `${type} ${agentId} ${count(type) + 1}`, data };
  });
  await queueNotices(trx, notices);
}

async function listCanaries(trx: Transaction, changes: readonly AgentChange[]): Promise<Set<string>> {
  const rows = await trx
    .selectFrom('canary_runs')
    .select('agent_id')
    .where(
      'agent_id',
      'in',
      changes.map(({ agentId }) => agentId),
    )
    .execute();
  return new Set(rows.map((row) => row.agent_id));
}

/** Notices by the state that an agent comes to. */
const NOTICES: Partial<Record<AgentStatus, NoticeType>> = {
  failed: 'agent.failed',
  suspended: 'agent.suspended',
  destroyed: 'agent.deleted',
};

function noticeFor({ from, to, by }: Edge): NoticeType | undefined {
  if (to !== 'running') return NOTICES[to];
  if (by === 'provision succeeds') return 'agent.running';
  // What a person stopped and started is no news.
  return from === 'stopped' || from === 'stopping' ? undefined : 'agent.resumed';
}

/** How many notices of each type the agents have had, by id and type. */
async function countNotices(
  trx: Transaction,
  agents: readonly { agentId: string }[],
): Promise<Map<string, number>> {
  const ids = agents.map(({ agentId }) => agentId);
  const { rows } = await sql<{ agentId: string; type: string; count: number }>`
    select agent_id as "agentId", type, count(*) as count from notices
    where agent_id = any(${ids}::text[]) group by agent_id, type`.execute(trx);
  return new Map(rows.map(({ agentId, type, count }) => [`${agentId} ${type}`, count]));
}
