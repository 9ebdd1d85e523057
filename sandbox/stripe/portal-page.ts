import { dateText, type Html, html, moneyText } from './pages.ts';
import type { Offer, PortalView } from './portal-view.ts';
import { TEST_CARDS } from './test-cards.ts';
import type { Invoice, Price, Subscription } from './wire.ts';

/** Renders what a customer can see and do, with the result of the last action. */
export function portalPage(view: PortalView, { done, problem }: { done?: string; problem?: string }): Html {
  const { session, customer, subscriptions, invoices } = view;
  return html`${notice(done, problem)}
<p>${customer.name ?? customer.email ?? customer.id}${customer.name && customer.email ? `, ${customer.email}` : ''}</p>
<h2>Subscriptions</h2>
${subscriptions.length === 0 ? html`<p>No subscription is running.</p>` : subscriptions.map((each) => subscriptionPart(session.id, each))}
<h2>Payment method</h2>
${cardPart(view)}
<h2>Invoices</h2>
${invoices.length === 0 ? html`<p>None yet.</p>` : invoiceTable(session.id, invoices)}
${session.return_url === null ? '' : html`<p><a href="${session.return_url}">Return</a></p>`}`;
}

function notice(done: string | undefined, problem: string | undefined): Html | string {
  if (problem !== undefined) return html`<p class="problem" role="alert">${problem}</p>`;
  return done === undefined ? '' : html`<p class="done" role="status">${done}</p>`;
}

function subscriptionPart(
  sessionId: string,
  { subscription, plan, offers }: PortalView['subscriptions'][number],
): Html {
  const { price, quantity = 1 } = subscription.items.data[0]!;
  const agent = subscription.metadata.agentId;
  return html`<section>
<h3>${plan}</h3>
<p>${quantity === 1 ? '' : `${quantity} × `}${priceText(price)}${agent === undefined ? '' : html`<br>Agent: ${agent}`}<br>${stateText(subscription)}</p>
${offers.length === 0 ? '' : planForm(sessionId, subscription, offers)}
${cancelForm(sessionId, subscription)}
</section>
`;
}

function planForm(sessionId: string, { id }: Subscription, offers: Offer[]): Html {
  const field = `plan-${id}`;
  return html`<form method="post" action="/portal/${sessionId}">
<input type="hidden" name="subscription" value="${id}">
<label for="${field}">Change plan</label>
<select id="${field}" name="price">${offers.map(({ price, name }) => html`<option value="${price.id}">${name}, ${priceText(price)}</option>`)}</select>
<button type="submit" name="action" value="change-plan">Change plan</button>
</form>`;
}

function cancelForm(sessionId: string, { id, cancel_at_period_end, cancel_at }: Subscription): Html | string {
  // A date that was set otherwise is not the customer's to change.
  if (cancel_at !== null && !cancel_at_period_end) return '';
  const button = cancel_at_period_end
    ? html`<button type="submit" name="action" value="keep">Don’t cancel</button>`
    : html`<button type="submit" name="action" value="cancel">Cancel at the end of the period</button>`;
  return html`<form method="post" action="/portal/${sessionId}">
<input type="hidden" name="subscription" value="${id}">
${button}
</form>`;
}

const BRANDS: Record<string, string> = { amex: 'American Express', mastercard: 'Mastercard', visa: 'Visa' };

function cardPart({ session, card }: PortalView): Html {
  const current = card
    ? `${BRANDS[card.brand] ?? card.brand} ending in ${card.last4}, valid until ${String(card.exp_month).padStart(2, '0')}/${card.exp_year}`
    : 'No card is saved. Payments fail until you add one.';
  return html`<p>${current}</p>
<form method="post" action="/portal/${session.id}">
<label for="card">${card ? 'New card number' : 'Card number'}</label>
<input id="card" name="card" list="cards" inputmode="numeric" autocomplete="off" required aria-describedby="card-hint">
<datalist id="cards">${TEST_CARDS.map(({ number, names }) => html`<option value="${number}">${names[0]!}</option>`)}</datalist>
<small id="card-hint">Only test cards, such as 4242 4242 4242 4242 (pays) or 4000 0000 0000 0341 (fails later).</small>
<button type="submit" name="action" value="update-card">Save card</button>
</form>`;
}

function invoiceTable(sessionId: string, invoices: Invoice[]): Html {
  const rows = invoices.map(
    (
      invoice,
    ) => html`<tr><td>${dateText(invoice.created)}</td><td>${moneyText(invoice.total, invoice.currency)}</td><td>${invoiceState(invoice)}</td><td>${payForm(sessionId, invoice)}</td></tr>
`,
  );
  return html`<table>
<thead><tr><th scope="col">Date</th><th scope="col">Amount</th><th scope="col">State</th><td></td></tr></thead>
<tbody>
${rows}</tbody>
</table>`;
}

function payForm(sessionId: string, { id, status, amount_remaining, currency }: Invoice): Html | string {
  if (status !== 'open' && status !== 'uncollectible') return '';
  return html`<form method="post" action="/portal/${sessionId}"><input type="hidden" name="invoice" value="${id}"><button type="submit" name="action" value="pay" aria-label="Pay ${moneyText(amount_remaining, currency)}">Pay</button></form>`;
}

const INVOICE_STATES: Record<string, string> = {
  paid: 'Paid',
  uncollectible: 'Given up, still owed',
  void: 'Void',
};

function invoiceState({ status, attempt_count }: Invoice): string {
  if (status === 'open') return attempt_count > 0 ? 'Failed' : 'Due';
  return INVOICE_STATES[status ?? ''] ?? String(status);
}

function stateText(subscription: Subscription): string {
  const { status, cancel_at, pause_collection, items } = subscription;
  const end = items.data[0]!.current_period_end;
  if (status === 'past_due') return 'The last payment failed. Please pay the open invoice.';
  if (status === 'unpaid') return 'Unpaid. Please pay the open invoice.';
  if (status === 'incomplete') return 'Waits for its first payment.';
  if (status === 'paused') return 'Paused.';
  if (cancel_at !== null) return `Ends on ${dateText(cancel_at)}.`;
  if (pause_collection !== null) return 'Active. Payments are paused.';
  if (status === 'trialing') return `On trial until ${dateText(end)}.`;
  return `Active. Renews on ${dateText(end)}.`;
}

function priceText({ unit_amount, currency, recurring }: Price): string {
  const count = recurring?.interval_count ?? 1;
  const interval = recurring?.interval ?? 'month';
  return `${moneyText(unit_amount ?? 0, currency)} per ${count === 1 ? interval : `${count} ${interval}s`}`;
}
