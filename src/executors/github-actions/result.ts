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
  /** One of our errors, by name: it decides whether trying again can help. */
  name: z.string().max(60),
  message: z.string().transform((text) => cutText(text, LONGEST_ERROR)),
  step: z.string().transform((text) => cutText(text, LONGEST_STEP)),
  /** Of a RateLimitedError: for how long a cloud has asked to be left alone. */
  seconds: z.number().min(0).max(3600).optional(),
  /** What the next attempt acts on; runners of earlier versions send none. */
  code: z.string().regex(FAILURE_CODE).optional(),
});

/** The outcome of an attempt at any operation, as the runner records it before its run reports the end. */
export const resultSchema = z.discriminatedUnion('status', [
  z.object({ status: z.literal('succeeded'), effect: z.looseObject({ kind: z.string() }) }),
  failed,
]);
export type AttemptResult = { status: 'succeeded'; effect: AgentEffect } | z.infer<typeof failed>;

/** The same with an effect that the operation's kind can have. `result` says which one is to be checked. */
export function resultSchemaOf(
  { kind }: Pick<OperationRow, 'kind'>,
  result: { status?: unknown; effect?: { kind?: unknown } },
): z.ZodType<AttemptResult> {
  const own = findOperation(kind)?.effect ?? z.never();
  const effect = result.effect?.kind === 'none' ? noEffect : own;
  return z.discriminatedUnion('status', [z.object({ status: z.literal('succeeded'), effect }), failed]);
}

const UNREADABLE = 'The runner has recorded a result that cannot be read';

/** undefined where the runner has recorded nothing. */
export function resultOf(row: OperationRow): AttemptResult | undefined {
  if (row.result === null) return undefined;
  const { data } = resultSchemaOf(row, row.result).safeParse(row.result);
  // Recorded before this version checked it: nothing of it is believed, and the attempt can still be settled.
  return (
    data ?? { status: 'failed', name: 'RetryableError', message: UNREADABLE, step: row.step ?? 'queued' }
  );
}

/** How a runner tells its failure. */
export function describeFailure(error: unknown): ReportedError {
  const reported = reportError(error);
  return { ...reported, message: cutText(reported.message, LONGEST_ERROR) };
}
