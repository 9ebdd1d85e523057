import type Stripe from 'stripe';
import { type InvoicePage, type ListedInvoice, readInvoices } from './read-invoices.ts';
import { askStripe } from './stripe.ts';

const LATEST = 24;
const PAGE = 100;
/** A bound only: no subscription has so many open invoices. */
const MOST_PAGES = 5;

type Query = Pick<Stripe.InvoiceListParams, 'limit' | 'status' | 'starting_after'>;

/**
 * Lists the invoices of a subscription that count, in no order: its latest 24, and of the older ones all that
 * are open. If nothing was settled for so long, the older ones back to one that was: only that one says
 * whether something that was written off is still owed.
 * @throws RetryableError for an answer that is no list, and whatever `askStripe` throws
 * @see https://docs.stripe.com/api/invoices/list
 */
export async function listInvoices(
  stripe: Stripe,
  subscriptionId: string,
  options: { oddities: string[]; apiUrl?: string | undefined },
): Promise<ListedInvoice[]> {
  const ask = async (query: Query) =>
    readInvoices(
      await askStripe(
        stripe.invoices.list({ subscription: subscriptionId, ...query, expand: ['data.payments'] }),
      ),
      options,
    );
  const latest = await ask({ limit: LATEST });
  const lists = [latest.invoices];
  let { hasMore, next } = latest;
  for (let page = 0; page < MOST_PAGES && next !== undefined && !lists.flat().some(isSettled); page += 1) {
    const older = await ask({ limit: PAGE, starting_after: next });
    lists.push(older.invoices);
    ({ hasMore, next } = older);
  }
  if (hasMore) lists.push(await listOpen(ask));
  return withoutCopies(lists.flat());
}

async function listOpen(ask: (query: Query) => Promise<InvoicePage>): Promise<ListedInvoice[]> {
  const found: ListedInvoice[] = [];
  let after: string | undefined;
  for (let page = 0; page < MOST_PAGES && (page === 0 || after !== undefined); page += 1) {
    const cursor = after === undefined ? {} : { starting_after: after };
    const { invoices, next } = await ask({ limit: PAGE, status: 'open', ...cursor });
    found.push(...invoices);
    after = next;
  }
  return found;
}

const isSettled = ({ paid, status }: ListedInvoice) => paid || status === 'void';

/** Of two answers about one invoice the later one counts. */
function withoutCopies(invoices: readonly ListedInvoice[]): ListedInvoice[] {
  return [...new Map(invoices.map((invoice) => [invoice.invoiceId, invoice])).values()];
}
