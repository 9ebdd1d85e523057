import { createHash } from 'node:crypto';
import type { TestCard } from './test-cards.ts';
import { newId, nowSeconds, type PaymentMethod } from './wire.ts';

/** Data of a payment method that its object does not show. */
export interface MethodHidden {
  number: string;
  /** Once detached, it can never be used again, as at Stripe. */
  isDetached?: boolean;
}

export interface MethodOptions {
  customerId?: string | null;
  expiry?: { exp_month: number; exp_year: number };
  billing?: Partial<PaymentMethod['billing_details']>;
  metadata?: Record<string, string>;
}

/** Builds the payment method of a test card. */
export function newPaymentMethod(card: TestCard, options: MethodOptions = {}): PaymentMethod {
  const { customerId = null, billing = {}, metadata = {} } = options;
  const at = nowSeconds();
  const expiry = options.expiry ?? { exp_month: 12, exp_year: new Date(at * 1000).getUTCFullYear() + 4 };
  return {
    id: newId('pm'),
    object: 'payment_method',
    allow_redisplay: 'unspecified',
    billing_details: { address: null, email: null, name: null, phone: null, tax_id: null, ...billing },
    card: {
      brand: card.brand,
      checks: { address_line1_check: null, address_postal_code_check: null, cvc_check: 'pass' },
      country: 'US',
      display_brand: card.brand,
      ...expiry,
      fingerprint: toFingerprint(card),
      funding: 'credit',
      generated_from: null,
      last4: card.number.slice(-4),
      networks: { available: [card.brand], preferred: null },
      regulated_status: 'unregulated',
      three_d_secure_usage: { supported: true },
      wallet: null,
    },
    created: at,
    customer: customerId,
    customer_account: null,
    livemode: false,
    metadata,
    type: 'card',
  };
}

/** The same number has the same fingerprint, so that clients can tell one card from another. */
function toFingerprint({ number }: TestCard): string {
  return createHash('sha256').update(number).digest('hex').slice(0, 16);
}
