import { z } from 'zod';
import { IMAGE_ID, SLOT_ID } from '../../stacks/inputs.ts';
import { DEFAULT_PLAN, PLANS } from './plans.ts';
import { REGIONS, toLocation } from './regions.ts';
import type { NewAgent } from './store.ts';

const text = z.string({
  error: ({ input }) => (input === undefined ? 'is missing' : 'must be a string'),
});

export const agentIdSchema = text
  .max(40, { error: 'must have at most 40 characters', abort: true })
  .regex(/^[a-z0-9](-?[a-z0-9])*$/, 'must be lower-case letters and digits, with single hyphens inside')
  .refine((value) => !SLOT_ID.test(value), 'has the form of a slot’s id')
  .refine((value) => !IMAGE_ID.test(value), 'has the form of an image’s id')
  .meta({ id: 'AgentId', example: 'agent-7' });

/**
 * Control characters (Postgres rejects NUL), line breaks, and marks that change a page's text direction.
 */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

export const userIdSchema = text
  .min(1, 'must not be empty')
  .max(200, 'must have at most 200 characters')
  .refine((value) => value.isWellFormed() && !UNPRINTABLE.test(value), 'contains unprintable characters')
  .refine((value) => value.trim() === value, 'must not begin or end with whitespace');

export const regionSchema = text
  .max(40, { error: 'must have at most 40 characters', abort: true })
  .refine((value) => toLocation(value) !== undefined, {
    error: ({ input }) => `is unknown: ${JSON.stringify(input)}; use one of ${REGIONS.join(', ')}`,
  })
  .meta({ description: `${REGIONS.join(', ')}, or a Hetzner location's own name`, example: 'eu-central' });

export const planSchema = z.enum(PLANS, {
  error: ({ input }) =>
    typeof input === 'string'
      ? `is unknown: ${JSON.stringify(input.slice(0, 40))}; use one of ${PLANS.join(', ')}`
      : 'must be a string',
});

/** Adds the region's location and the default plan to a validated request. */
export function newAgent(request: {
  agentId: string;
  userId: string;
  region: string;
  plan?: string | undefined;
  subscriptionId?: string | undefined;
}): NewAgent {
  const location = toLocation(request.region);
  if (location === undefined) throw new Error(`Unknown region: ${request.region}`);
  return { ...request, location, plan: request.plan ?? DEFAULT_PLAN };
}
