import { createHash } from 'node:crypto';
import type { Endpoints } from './endpoint.ts';

/** Serves `GET /account`: the account of the key, one per installation. */
export function mountAccount({ declare, get }: Endpoints, secretKey: string): void {
  declare('account', { expandable: {} });
  const id = `acct_1${createHash('sha256').update(secretKey).digest('hex').slice(0, 15)}`;
  get('/account', { answers: 'account', parameters: {} }, async () => ({
    id,
    object: 'account',
    charges_enabled: true,
    country: 'DE',
    default_currency: 'eur',
    details_submitted: true,
    payouts_enabled: true,
    type: 'standard',
  }));
}
