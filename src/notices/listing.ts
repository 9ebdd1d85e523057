import type { Selectable } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { NoticeDeliveryTable, NoticeTable } from '../database/notice-tables.ts';

export type NoticeRow = Selectable<NoticeTable>;
export type NoticeDeliveryRow = Selectable<NoticeDeliveryTable>;

/** Lists notices, newest first, with their deliveries. `before`: the last `sequence` of the previous page. */
export async function listNotices(
  database: Database,
  page: { agentId?: string | undefined; before?: number | undefined; limit: number },
): Promise<(NoticeRow & { deliveries: NoticeDeliveryRow[] })[]> {
  const { agentId, before, limit } = page;
  const notices = await database
    .selectFrom('notices')
    .selectAll()
    .$if(agentId !== undefined, (query) => query.where('agent_id', '=', agentId!))
    .$if(before !== undefined, (query) => query.where('sequence', '<', before!))
    .orderBy('sequence', 'desc')
    .limit(limit)
    .execute();
  if (notices.length === 0) return [];
  const ids = notices.map((notice) => notice.notice_id);
  const deliveries = await database
    .selectFrom('notice_deliveries')
    .selectAll()
    .where('notice_id', 'in', ids)
    .orderBy('receiver')
    .execute();
  const byNotice = Map.groupBy(deliveries, (delivery) => delivery.notice_id);
  return notices.map((notice) => ({ ...notice, deliveries: byNotice.get(notice.notice_id) ?? [] }));
}
