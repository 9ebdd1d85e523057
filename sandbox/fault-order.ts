import { z } from 'zod';
import { isPattern } from './path-pattern.ts';

export const FAULT_AREAS = ['hetzner', 'tailscale', 'stripe', 'machines', 'github'] as const;
export type FaultArea = (typeof FAULT_AREAS)[number];

const faultEffectSchema = z.discriminatedUnion('kind', [
  /** The call does nothing and fails with this status; the default body is the vendor's usual one. */
  z.strictObject({
    kind: z.literal('status'),
    status: z.number().int().min(400).max(599),
    body: z.unknown().optional(),
  }),
  /** The call runs after a delay. */
  z.strictObject({ kind: z.literal('latency'), ms: z.number().int().min(0).max(600_000) }),
  /** The call does nothing and gets no answer; the connection stays open until the client closes it. */
  z.strictObject({ kind: z.literal('black-hole') }),
  /** The call runs completely, then the connection breaks instead of an answer. */
  z.strictObject({ kind: z.literal('drop-answer') }),
  /** The call succeeds, and the action that it started ends in `error`. */
  z.strictObject({ kind: z.literal('action-error'), code: z.string().min(1), message: z.string().min(1) }),
  /** 403 resource_limit_exceeded */
  z.strictObject({ kind: z.literal('limit') }),
  /** 412 resource_unavailable */
  z.strictObject({ kind: z.literal('stock-out') }),
]);

export type FaultEffect = z.infer<typeof faultEffectSchema>;

/** The body of `POST /faults`: which calls (the next `times` that match), and their fault. */
export const faultOrderSchema = z
  .strictObject({
    area: z.enum(FAULT_AREAS),
    method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', '*']).default('*'),
    path: z
      .string()
      .regex(/^[/^*]/, 'starts with / or * (a glob), or with ^ (a regular expression)')
      .max(300)
      .refine(isPattern, 'not a valid regular expression')
      .default('**'),
    times: z.number().int().min(1).max(1_000_000).default(1),
    effect: faultEffectSchema,
  })
  .refine((order) => order.area === 'hetzner' || !HETZNER_ONLY.has(order.effect.kind), {
    path: ['effect', 'kind'],
    message: 'action-error, limit and stock-out exist in the area hetzner only',
  });

const HETZNER_ONLY = new Set<FaultEffect['kind']>(['action-error', 'limit', 'stock-out']);

export type FaultOrder = z.infer<typeof faultOrderSchema>;
