import { requestChange } from '../../limits/request-change.ts';
import { queueHoldChange, type RequestHoldChange } from '../../operations/follow-holds.ts';
import type { Clock } from '../../processes/clock.ts';

/**
 * How changes that follow from holds are requested: a suspension for want of payment passes the breakers. A
 * hold that a person has placed passes none, and neither does a resume, which gives back what was paid for.
 */
export function throughBreakers(clock: Clock): RequestHoldChange {
  return async (trx, queue, change) => {
    const { agentId, kind, reasons, actor } = change;
    const isForPayment = reasons.length > 0 && reasons.every((reason) => reason === 'payment');
    if (kind !== 'suspend' || !isForPayment) return queueHoldChange(trx, queue, change);
    const cause = 'Its subscription is not paid.';
    const outcome = await requestChange(trx, queue, { agentId, kind, cause, actor, at: clock.now() });
    return 'operation' in outcome ? outcome.operation : undefined;
  };
}
