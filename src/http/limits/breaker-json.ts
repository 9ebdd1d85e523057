import { z } from 'zod';
import { BREAKERS } from '../../database/vocabulary.ts';
import type { BreakerState, HeldChange } from '../../limits/listing.ts';

export const breakerParams = z.object({ name: z.enum(BREAKERS) });

export const breakerJson = z
  .object({
    name: z.enum(BREAKERS),
    title: z.string(),
    tripped: z.boolean(),
    trippedAt: z.iso.datetime().nullable(),
    cause: z.string().nullable().meta({ description: 'Why it tripped' }),
    cure: z.string().meta({ description: 'What a person does about it' }),
    approvedAt: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'When a person last approved; null: not yet' }),
    used: z.number().nullable().meta({ description: 'Changes within the period; spend: euros an hour' }),
    allowed: z.number().nullable().meta({ description: 'The limit; null: none' }),
    waiting: z.int().meta({ description: 'Changes that wait for it' }),
    approved: z.int().meta({ description: 'Those of them that go at the allowed rate' }),
  })
  .meta({ id: 'Breaker' });

export type BreakerJson = z.input<typeof breakerJson>;

export function presentBreaker({ trippedAt, approvedAt, ...state }: BreakerState): BreakerJson {
  return {
    ...state,
    tripped: trippedAt !== null,
    trippedAt: trippedAt?.toISOString() ?? null,
    approvedAt: approvedAt?.toISOString() ?? null,
  };
}

export const heldChangeJson = z
  .object({
    agentId: z.string(),
    kind: z.string(),
    cause: z.string(),
    since: z.iso.datetime(),
    approved: z.boolean(),
  })
  .meta({ id: 'HeldChange' });

export type HeldChangeJson = z.input<typeof heldChangeJson>;

export function presentHeldChange(row: HeldChange): HeldChangeJson {
  return {
    agentId: row.agent_id,
    kind: row.kind,
    cause: row.cause,
    since: row.since.toISOString(),
    approved: row.approved_at !== null,
  };
}
