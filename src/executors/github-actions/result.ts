import { z } from 'zod';
import { cutText } from '../../database/storable.ts';
import { FAILURE_CODE } from '../../database/vocabulary.ts';
import { type ReportedError, reportError } from '../../errors.ts';
import type { AgentEffect } from '../../operations/attempt.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { noEffect } from '../../operations/effects.ts';
import { LONGEST_ERROR, LONGEST_STEP } from '../../operations/lengths.ts';
import { findOperation } from '../../operations/registry.ts';

const failed = z.object({
  status: z.literal('failed'),
  /** The name of one of our errors, which decides whether a retry can help. */
  name: z.string().max(60),
  message: z.string().transform((text) => cutText(text, LONGEST_ERROR)),
  step: z.string().transform((text) => cutText(text, LONGEST_STEP)),
  /** A RateLimitedError's delay. */
  seconds: z.number().min(0).max(3600).optional(),
  /** The failure code for the next attempt; runners of earlier versions send none. */
  code: z.string().regex(FAILURE_CODE).optional(),
});

/** The result of an attempt, which the runner records before its workflow reports the end. */
export const resultSchema = z.discriminatedUnion('status', [
  z.object({ status: z.literal('succeeded'), effect: z.looseObject({ kind: z.string() }) }),
  failed,
]);
export type AttemptResult = { status: 'succeeded'; effect: AgentEffect } | z.infer<typeof failed>;

/** The schema for results of this kind of operation. `result` selects the effect's schema. */
export function resultSchemaFor(
  { kind }: Pick<OperationRow, 'kind'>,
  result: { status?: unknown; effect?: { kind?: unknown } },
): z.ZodType<AttemptResult> {
  const own = findOperation(kind)?.effect ?? z.never();
  const effect = result.effect?.kind === 'none' ? noEffect : own;
  return z.discriminatedUnion('status', [z.object({ status: z.literal('succeeded'), effect }), failed]);
}

const UNREADABLE = 'The runner recorded an invalid result';

/** Returns the recorded result; undefined if there is none. */
export function readResult(row: OperationRow): AttemptResult | undefined {
  if (row.result === null) return undefined;
  const { data } = resultSchemaFor(row, row.result).safeParse(row.result);
  // An earlier version stored it unchecked. Treat it as a failure, so that the attempt can be settled.
  return (
    data ?? { status: 'failed', name: 'RetryableError', message: UNREADABLE, step: row.step ?? 'queued' }
  );
}

/** A failure as a runner reports it. */
export function describeFailure(error: unknown): ReportedError {
  const reported = reportError(error);
  return { ...reported, message: cutText(reported.message, LONGEST_ERROR) };
}
