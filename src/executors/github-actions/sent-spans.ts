import { z } from 'zod';
import type { ReportedSpan } from '../../telemetry/span.ts';

export const MAX_SPANS = 200;
const LONGEST_MS = 7 * 24 * 3600 * 1000;

/** A span as a runner sends it. Ages, not times: the runner's clock may differ from ours. */
export const sentSpanSchema = z.strictObject({
  kind: z.enum(['run', 'resource', 'play', 'task']),
  name: z.string().min(1).max(1_000),
  /** How long ago it ended. */
  ageMs: z.number().min(0).max(LONGEST_MS),
  durationMs: z.number().min(0).max(LONGEST_MS),
  outcome: z.enum(['success', 'failure', 'skip']),
  attributes: z
    .record(z.string().max(100), z.union([z.string().max(200), z.number()]))
    .refine((attributes) => Object.keys(attributes).length <= 10, 'has more than 10 entries')
    .optional(),
});
type SentSpan = z.infer<typeof sentSpanSchema>;

/** How a runner sends a span. */
export function toSent(span: ReportedSpan): SentSpan {
  const { kind, name, startedAt, endedAt, outcome, attributes } = span;
  return {
    kind: kind as SentSpan['kind'],
    name,
    ageMs: Math.max(0, Date.now() - endedAt),
    durationMs: Math.max(0, endedAt - startedAt),
    outcome,
    ...(attributes && { attributes }),
  };
}

export function fromSent({ ageMs, durationMs, ...span }: SentSpan): ReportedSpan {
  const endedAt = Date.now() - ageMs;
  return { ...span, startedAt: endedAt - durationMs, endedAt };
}
