import { z } from 'zod';
import { PermanentError } from '../errors.ts';
import { RefusedError, requestAs } from '../http-client/request.ts';
import type { Secret } from '../secret.ts';

const STRIPE_API = 'https://api.stripe.com';

/** Stripe accepts the key, but it may not read its account, as restricted keys often may not. */
export class AccountHiddenError extends PermanentError {
  override name = 'AccountHiddenError';
}

const account = z.object({ id: z.string().regex(/^acct_\w{1,100}$/) });

/**
 * Returns the id (`acct_…`) of the account that a key belongs to. Secret and restricted keys have the same.
 * @throws AccountHiddenError; PermanentError if Stripe rejects the key; RetryableError for an unusable answer
 * @see https://docs.stripe.com/api/accounts
 */
export async function readStripeAccount({
  secretKey,
  apiUrl,
}: {
  secretKey: Secret;
  apiUrl: string | undefined;
}): Promise<string> {
  try {
    const { id } = await requestAs(account, {
      method: 'GET',
      vendor: 'stripe',
      url: `${apiUrl ?? STRIPE_API}/v1/account`,
      headers: { authorization: `Bearer ${secretKey.reveal()}` },
    });
    return id;
  } catch (error) {
    if (!(error instanceof RefusedError && error.status === 403)) throw error;
    throw new AccountHiddenError(error.message, { cause: error });
  }
}

/**
 * Reads what a key itself reveals about its account, for when Stripe cannot be asked: `live` or `test`, and
 * the characters after the prefix, which all keys of an account share.
 */
export function accountInKey(secretKey: Secret): { mode: 'live' | 'test'; text: string } {
  const [, mode, rest] = /^[rs]k_(live|test)_(.*)$/s.exec(secretKey.reveal()) ?? [];
  return { mode: mode === 'live' ? 'live' : 'test', text: (rest ?? '').slice(0, 16) };
}
