import { z } from 'zod';
import { PermanentError } from '../errors.ts';
import { RefusedError, requestAs } from '../http-client/request.ts';
import type { Secret } from '../secret.ts';

const STRIPE_API = 'https://api.stripe.com';
/** The key is accepted, and may not read its account: a restricted key need not. */
export class AccountHiddenError extends PermanentError {
  override name = 'AccountHiddenError';
}

const account = z.object({ id: z.string().regex(/^acct_\w{1,100}$/) });

/**
 * The id of the account that a key belongs to, `acct_…`; the same for secret and restricted keys.
 * @throws AccountHiddenError; PermanentError where Stripe refuses the key; RetryableError where no usable
 * answer came
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
 * What a key itself says of its account, for when Stripe cannot be asked: `live` or `test`, and the
 * characters after the prefix that all keys of an account share.
 */
export function accountInKey(secretKey: Secret): { mode: 'live' | 'test'; text: string } {
  const [, mode, rest] = /^[rs]k_(live|test)_(.*)$/s.exec(secretKey.reveal()) ?? [];
  return { mode: mode === 'live' ? 'live' : 'test', text: (rest ?? '').slice(0, 16) };
}
