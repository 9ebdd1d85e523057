import type { SandboxTransaction } from '../database.ts';
import { findDefaultMethod, readMethodOf } from './default-payment-method.ts';
import type { Endpoints } from './endpoint.ts';
import { cardDeclined, invalidRequest, type StripeError } from './errors.ts';
import type { EventCause } from './events.ts';
import { finalizeDraft } from './finalize-draft.ts';
import { markPaid, markUncollectible, voidInvoice } from './invoice-payment.ts';
import { lockObject, saveObject } from './objects.ts';
import { boolean, changeMetadata, definedOnly, metadataChange, text, unsettable } from './parameters.ts';
import { lockPayable, tryPayment } from './pay-invoice.ts';
import { toId } from './subscription-changes.ts';
import type { Invoice } from './wire.ts';

const INVOICE = 'invoice';

/** Mounts what can be done with an invoice: finalize, pay, void, give up. */
export function mountInvoiceChanges(endpoints: Endpoints): void {
  mountPayment(endpoints);
  const changed = { answers: INVOICE, parameters: {} };
  endpoints.post('/invoices/:id/void', changed, async (trx, { id, request }) => {
    const invoice = await lockInvoice(trx, id, ['open', 'uncollectible'], 'voided');
    return voidInvoice(trx, invoice, request);
  });
  endpoints.post('/invoices/:id/mark_uncollectible', changed, async (trx, { id, request }) => {
    const invoice = await lockInvoice(trx, id, ['open'], 'marked uncollectible');
    return markUncollectible(trx, invoice, request);
  });
  const finalized = { answers: INVOICE, parameters: { auto_advance: boolean.optional() } };
  endpoints.post('/invoices/:id/finalize', finalized, async (trx, { id, input, request }) => {
    const draft = await lockInvoice(trx, id, ['draft'], 'finalized');
    return finalizeDraft(trx, { ...draft, ...definedOnly(input) }, request);
  });
  mountUpdate(endpoints);
}

function mountPayment(endpoints: Endpoints): void {
  const paid = {
    answers: INVOICE,
    parameters: {
      forgive: boolean.optional(),
      off_session: boolean.optional(),
      paid_out_of_band: boolean.default(false),
      payment_method: text.optional(),
    },
  };
  endpoints.post('/invoices/:id/pay', paid, async (trx, { id, input, request }) => {
    const invoice = await lockPayable(trx, id, request);
    if (invoice.status === 'paid') return invoice;
    return input.paid_out_of_band
      ? markPaid(trx, invoice, { request })
      : payByRequest(trx, invoice, input.payment_method, request);
  });
}

function mountUpdate(endpoints: Endpoints): void {
  const updated = {
    answers: INVOICE,
    parameters: {
      auto_advance: boolean.optional(),
      default_payment_method: unsettable(text).optional(),
      description: unsettable(text).optional(),
      metadata: metadataChange,
    },
  };
  endpoints.post('/invoices/:id', updated, async (trx, { id, input }) => {
    const before = await lockObject<Invoice>(trx, INVOICE, id);
    const method = input.default_payment_method;
    if (method) await readMethodOf(trx, toId(before.customer ?? ''), method, 'default_payment_method');
    const { metadata, ...given } = input;
    const after: Invoice = {
      ...before,
      ...definedOnly(given),
      metadata: changeMetadata(before.metadata ?? {}, metadata),
    };
    await saveObject(trx, after);
    return after;
  });
}

async function payByRequest(
  trx: SandboxTransaction,
  payable: Invoice,
  methodId: string | undefined,
  request: EventCause,
): Promise<Invoice | StripeError> {
  const method =
    methodId === undefined
      ? await findDefaultMethod(trx, payable)
      : await readMethodOf(trx, toId(payable.customer ?? ''), methodId, 'payment_method');
  if (method === undefined && payable.amount_remaining > 0)
    throw invalidRequest(
      'This customer has no attached payment source or default payment method. Please consider adding a default payment method.',
      { code: 'resource_missing' },
    );
  const { invoice, decline, charge } = await tryPayment(trx, payable, { request, method });
  return decline === undefined ? invoice : cardDeclined(decline, charge?.id);
}

async function lockInvoice(
  trx: SandboxTransaction,
  id: string,
  statuses: NonNullable<Invoice['status']>[],
  what: string,
): Promise<Invoice> {
  const invoice = await lockObject<Invoice>(trx, INVOICE, id);
  if (invoice.status !== null && statuses.includes(invoice.status)) return invoice;
  throw invalidRequest(`An invoice with the status ${invoice.status} cannot be ${what}.`, {
    code: 'invoice_not_editable',
  });
}
