import type { z } from 'zod';
import type { SandboxTransaction } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest } from './errors.ts';
import { type EventCause, emitEvent } from './events.ts';
import { insertObject, lockObject, saveObject } from './objects.ts';
import { boolean, changeMetadata, definedOnly, fields, metadataChange, text } from './parameters.ts';
import { equals, mountResource, type Resource } from './resource.ts';
import { type Charge, type Dispute, newId, nowSeconds } from './wire.ts';

const ANSWER_WITHIN_SECONDS = 9 * 24 * 3600;

/** Texts of `evidence[uncategorized_text]` that decide a dispute in Stripe's test mode. */
const DECISIVE_EVIDENCE: Readonly<Record<string, 'lost' | 'won'>> = {
  winning_evidence: 'won',
  losing_evidence: 'lost',
};

export const disputes: Resource<Dispute> = {
  object: 'dispute',
  path: '/disputes',
  filters: { charge: equals(text, 'charge'), payment_intent: equals(text, 'payment_intent') },
  expandable: { charge: 'charge', payment_intent: 'payment_intent' },
};

const evidence = fields({
  customer_communication: text.optional(),
  customer_email_address: text.optional(),
  customer_name: text.optional(),
  product_description: text.optional(),
  refund_refusal_explanation: text.optional(),
  service_date: text.optional(),
  uncategorized_text: text.optional(),
});

export function mountDisputes(endpoints: Endpoints): void {
  mountResource(endpoints, disputes);
  const parameters = {
    evidence: evidence.optional(),
    metadata: metadataChange,
    submit: boolean.default(true),
  };
  endpoints.post('/disputes/:id', { answers: 'dispute', parameters }, async (trx, { id, input, request }) =>
    answerDispute(trx, await lockOpenDispute(trx, id), input, request),
  );
  endpoints.post('/disputes/:id/close', { answers: 'dispute', parameters: {} }, async (trx, call) =>
    // Closing a dispute accepts it.
    closeDispute(trx, call.id, 'lost', call.request),
  );
}

/** Opens a dispute on a whole charge and emits `charge.dispute.created`. */
export async function openDispute(
  trx: SandboxTransaction,
  { id }: Charge,
  { request, reason }: { request?: EventCause; reason: string },
): Promise<Dispute> {
  const charge = await lockObject<Charge>(trx, 'charge', id);
  if (charge.status !== 'succeeded') throw invalidRequest(`Charge ${id} has not succeeded.`);
  if (charge.disputed) throw invalidRequest(`Charge ${id} has already been disputed.`);
  const dispute = newDispute(charge, reason);
  await insertObject(trx, dispute);
  const after: Charge = { ...charge, disputed: true };
  await saveObject(trx, after);
  await emitEvent(trx, { type: 'charge.dispute.created', object: dispute, ...(request && { request }) });
  return dispute;
}

/** Decides an open dispute and emits `charge.dispute.closed`. @throws StripeError if it is not open */
export async function closeDispute(
  trx: SandboxTransaction,
  id: string,
  status: 'lost' | 'won',
  request?: EventCause,
): Promise<Dispute> {
  const before = await lockOpenDispute(trx, id);
  const closed: Dispute = { ...before, is_charge_refundable: false, status };
  await saveObject(trx, closed);
  const previous = { status: before.status };
  await emitEvent(trx, {
    type: 'charge.dispute.closed',
    object: closed,
    previous,
    ...(request && { request }),
  });
  return closed;
}

async function lockOpenDispute(trx: SandboxTransaction, id: string): Promise<Dispute> {
  const dispute = await lockObject<Dispute>(trx, 'dispute', id);
  if (dispute.status === 'won' || dispute.status === 'lost')
    throw invalidRequest('This dispute is already closed.');
  return dispute;
}

async function answerDispute(
  trx: SandboxTransaction,
  before: Dispute,
  given: {
    evidence?: z.output<typeof evidence> | undefined;
    metadata?: z.output<typeof metadataChange>;
    submit: boolean;
  },
  request: EventCause,
): Promise<Dispute> {
  const submitted = given.evidence !== undefined && given.submit;
  const answered: Dispute = {
    ...before,
    metadata: changeMetadata(before.metadata, given.metadata),
    evidence: { ...before.evidence, ...definedOnly(given.evidence ?? {}) },
    evidence_details: {
      ...before.evidence_details,
      has_evidence: before.evidence_details.has_evidence || given.evidence !== undefined,
      submission_count: before.evidence_details.submission_count + (submitted ? 1 : 0),
      submission_method: submitted ? 'manual' : before.evidence_details.submission_method,
    },
    status: submitted ? 'under_review' : before.status,
  };
  await saveObject(trx, answered);
  const decided = DECISIVE_EVIDENCE[given.evidence?.uncategorized_text ?? ''];
  return submitted && decided ? closeDispute(trx, before.id, decided, request) : answered;
}

function newDispute(charge: Charge, reason: string): Dispute {
  const at = nowSeconds();
  return {
    id: newId('dp'),
    object: 'dispute',
    amount: charge.amount,
    balance_transactions: [],
    charge: charge.id,
    created: at,
    currency: charge.currency,
    enhanced_eligibility_types: [],
    evidence: NO_EVIDENCE,
    evidence_details: {
      due_by: at + ANSWER_WITHIN_SECONDS,
      enhanced_eligibility: {},
      has_evidence: false,
      past_due: false,
      submission_count: 0,
      submission_method: 'not_submitted',
    },
    intended_submission_method: null,
    is_charge_refundable: false,
    livemode: false,
    metadata: {},
    network_reason_code: '83',
    payment_intent: charge.payment_intent,
    payment_method_details: {
      type: 'card',
      card: {
        brand: charge.payment_method_details?.card?.brand ?? 'visa',
        case_type: 'chargeback',
        network: charge.payment_method_details?.card?.network ?? 'visa',
        network_reason_code: '83',
      },
    },
    reason,
    status: 'needs_response',
  };
}

const NO_EVIDENCE: Dispute['evidence'] = {
  access_activity_log: null,
  billing_address: null,
  cancellation_policy: null,
  cancellation_policy_disclosure: null,
  cancellation_rebuttal: null,
  customer_communication: null,
  customer_email_address: null,
  customer_name: null,
  customer_purchase_ip: null,
  customer_signature: null,
  duplicate_charge_documentation: null,
  duplicate_charge_explanation: null,
  duplicate_charge_id: null,
  enhanced_evidence: {},
  product_description: null,
  receipt: null,
  refund_policy: null,
  refund_policy_disclosure: null,
  refund_refusal_explanation: null,
  service_date: null,
  service_documentation: null,
  shipping_address: null,
  shipping_carrier: null,
  shipping_date: null,
  shipping_documentation: null,
  shipping_tracking_number: null,
  uncategorized_file: null,
  uncategorized_text: null,
};
