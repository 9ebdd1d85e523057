import express, { type Request, type Response } from 'express';
import type { SandboxDatabase } from '../database.ts';
import { cardDeclined } from './errors.ts';
import { readObject } from './objects.ts';
import { answerPageError, dateText, html, moneyText, preparePages, sendPage } from './pages.ts';
import { payInvoice } from './pay-invoice.ts';
import { toId } from './subscription-changes.ts';
import { transact } from './transact.ts';
import type { Invoice } from './wire.ts';

const INVOICE = { standsIn: 'Stripe’s page of an invoice' };

/** Creates the pages on which customers pay single invoices. Mount at `/invoice`. */
export function createInvoicePageRouter({ database }: { database: SandboxDatabase }): express.Router {
  const router = express.Router();
  preparePages(router);
  router.get('/:id', async (request, response) => {
    show(response, await read(database, request.params.id));
  });
  router.post('/:id', (request, response) => pay(database, request, response));
  router.use(answerPageError(INVOICE));
  return router;
}

const read = (database: SandboxDatabase, id: string) => readObject<Invoice>(database, 'invoice', id);

async function pay(database: SandboxDatabase, request: Request, response: Response): Promise<void> {
  const { id, customer, status } = await read(database, String(request.params.id));
  // Someone else, or a second click, has paid it: there is nothing left to do.
  if (status === 'open' || status === 'uncollectible') {
    const paid = await transact(database, customer === null ? [] : [toId(customer)], (trx) =>
      payInvoice(trx, id),
    );
    if (paid.decline !== undefined) {
      const { message, status: refused } = cardDeclined(paid.decline, paid.charge?.id);
      response.status(refused);
      return show(response, paid.invoice, message);
    }
  }
  response.redirect(303, `/invoice/${id}`);
}

function show(response: Response, invoice: Invoice, problem?: string): void {
  const { id, number, amount_remaining: open, currency, created, status } = invoice;
  const body = html`${problem === undefined ? '' : html`<p class="problem" role="alert">${problem}</p>`}
<dl><dt>Invoice</dt><dd>${number ?? id}</dd><dt>Of</dt><dd>${dateText(created)}</dd><dt>Open</dt><dd>${moneyText(open, currency)}</dd></dl>
${
  status === 'open' || status === 'uncollectible'
    ? html`<form method="post" action="/invoice/${id}"><button type="submit">Pay with the saved card (sandbox)</button></form>`
    : html`<p class="done" role="status">Nothing is open on this invoice.</p>`
}`;
  sendPage(response, { title: 'Pay an invoice', body, ...INVOICE });
}
