import { z } from 'zod';
import { ATTENTION_CLASSES } from '../../database/vocabulary.ts';
import type { AttentionItem } from '../../reconcile/attention.ts';

export const attentionJson = z
  .object({
    class: z.enum(ATTENTION_CLASSES),
    since: z.iso.datetime(),
    agentId: z.string().nullable(),
    cause: z.string(),
    cure: z.string().meta({ description: 'What a person does about it' }),
  })
  .meta({ id: 'Attention' });

export type AttentionJson = z.input<typeof attentionJson>;

export function presentAttention({
  class: name,
  since,
  agentId,
  cause,
  cure,
}: AttentionItem<AttentionJson['class']>): AttentionJson {
  return { class: name, since: since.toISOString(), agentId, cause, cure };
}
