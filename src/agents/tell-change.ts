import type { Transaction } from '../database/connect.ts';
import type { NoticeType } from '../database/vocabulary.ts';
import { queueNotice } from '../notices/queue-notice.ts';
import { audit } from './audit.ts';
import type { AgentStatus, Edge } from './states.ts';

/**
 * Records a change of an agent's status in the audit log, and queues its notice if it has one. `edge.by` says
 * what caused it.
 */
export async function tellChange(trx: Transaction, agentId: string, edge: Edge): Promise<void> {
  const { from, to, by } = edge;
  await audit(trx, { actor: 'service', action: `agent.became-${to}`, agentId, details: { from, by } });
  const type = noticeFor(edge);
  if (type === undefined) return;
  const { user_id: userId, error } = await trx
    .selectFrom('agents')
    .select(['user_id', 'error'])
    .where('agent_id', '=', agentId)
    .executeTakeFirstOrThrow();
  const { count } = await trx
    .selectFrom('notices')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('agent_id', '=', agentId)
    .where('type', '=', type)
    .executeTakeFirstOrThrow();
  const data = {
    userId,
    status: to,
    ...(type === 'agent.failed' && { error }),
    ...(type === 'agent.running' && { recovered: await hasFailed(trx, agentId) }),
  };
  // Numbered, because an agent may go the same way again. Its lock keeps the number unique.
  await queueNotice(trx, { type, agentId, key: `${type} ${agentId} ${count + 1}`, data });
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

async function hasFailed(trx: Transaction, agentId: string): Promise<boolean> {
  const failed = await trx
    .selectFrom('notices')
    .select('notice_id')
    .where('agent_id', '=', agentId)
    .where('type', '=', 'agent.failed')
    .limit(1)
    .executeTakeFirst();
  return failed !== undefined;
}
