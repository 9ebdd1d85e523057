import { z } from 'zod';
import { NOTICE_TYPES } from '../database/vocabulary.ts';
import type { listNotices } from '../notices/listing.ts';

export const noticeJson = z
  .object({
    noticeId: z.string().meta({ description: 'Also the id of the webhook’s message' }),
    type: z.enum(NOTICE_TYPES),
    agentId: z.string().nullable(),
    key: z.string().meta({ description: 'What it announces; nothing is announced twice' }),
    data: z.record(z.string(), z.unknown()),
    at: z.iso.datetime().meta({ description: 'When it happened' }),
    deliveries: z.array(
      z.object({
        receiver: z.string(),
        status: z.enum(['pending', 'delivered', 'failed']),
        attempts: z.int(),
        answer: z.int().nullable().meta({ description: 'The status of the last answer, of HTTP or SMTP' }),
        error: z.string().nullable(),
        nextAt: z.iso.datetime().nullable().meta({ description: 'When the next attempt is due' }),
        deliveredAt: z.iso.datetime().nullable(),
      }),
    ),
  })
  .meta({ id: 'Notice' });

export type NoticeJson = z.input<typeof noticeJson>;

export function presentNotice(row: Awaited<ReturnType<typeof listNotices>>[number]): NoticeJson {
  return {
    noticeId: row.notice_id,
    type: row.type,
    agentId: row.agent_id,
    key: row.key,
    data: row.data,
    at: row.at.toISOString(),
    deliveries: row.deliveries.map((delivery) => ({
      receiver: delivery.receiver,
      status: delivery.status,
      attempts: delivery.attempts,
      answer: delivery.answer,
      error: delivery.error,
      nextAt: delivery.status === 'pending' ? delivery.next_at.toISOString() : null,
      deliveredAt: delivery.delivered_at?.toISOString() ?? null,
    })),
  };
}
