const LONGEST = 2_000;

/**
 * Where Stripe lets a customer pay an invoice (`hosted_invoice_url`); null unless it is a page of Stripe's
 * own over https. A link is shown to buyers, so anything else counts as none. `apiUrl`: a stand-in for
 * Stripe, whose own pages count instead.
 */
export function toPayPage(value: unknown, apiUrl: string | undefined): string | null {
  if (typeof value !== 'string' || value.length > LONGEST || !URL.canParse(value)) return null;
  const { protocol, hostname, origin, username, password, href } = new URL(value);
  if (username !== '' || password !== '') return null;
  if (apiUrl !== undefined) return origin === new URL(apiUrl).origin ? href : null;
  const isStripes = hostname === 'stripe.com' || hostname.endsWith('.stripe.com');
  return protocol === 'https:' && isStripes && new URL(value).port === '' ? href : null;
}
