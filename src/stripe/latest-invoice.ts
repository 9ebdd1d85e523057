import type { Invoice } from './subscription-view.ts';

/**
 * Returns the invoice that was created last, in whatever order they are listed. Stripe counts whole seconds,
 * so the id decides between two of the same second.
 */
export function latestInvoice<T extends Invoice>(invoices: readonly T[]): T | undefined {
  return invoices.reduce<T | undefined>(
    (latest, invoice) => (latest === undefined || isLater(invoice, latest) ? invoice : latest),
    undefined,
  );
}

function isLater(one: Invoice, other: Invoice): boolean {
  const seconds = one.createdAt.getTime() - other.createdAt.getTime();
  return seconds === 0 ? one.invoiceId > other.invoiceId : seconds > 0;
}
