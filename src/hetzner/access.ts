import { PermanentError } from '../errors.ts';
import { HttpError, RefusedError } from '../http-client/request.ts';
import { createCall, type HetznerAccount } from './calls.ts';

/** What a token may do, and how much of its project's hourly quota is left. */
export interface HetznerAccess {
  canWrite: boolean;
  /** Undefined if the answer does not say. */
  quota: { limit: number; remaining: number } | undefined;
}

/** No resource has this id, so a change to it changes nothing, whoever makes it. */
const NO_FIREWALL = '/firewalls/0';

/**
 * Asks, by one call that can change nothing, whether a token may write.
 * @throws RefusedError if Hetzner rejects the token; RateLimitedError; RetryableError without an answer
 */
export async function readHetznerAccess(account: HetznerAccount): Promise<HetznerAccess> {
  let quota: HetznerAccess['quota'];
  const call = createCall(account, {
    begins: () => undefined,
    answered: (headers) => {
      quota = toQuota(headers);
    },
  });
  try {
    await call('PUT', NO_FIREWALL, { body: { labels: {} } });
  } catch (error) {
    if (error instanceof RefusedError && error.code === 'token_readonly') return { canWrite: false, quota };
    // It may write, and there is no such firewall.
    if (error instanceof HttpError && error.status === 404) return { canWrite: true, quota };
    throw error;
  }
  throw new PermanentError('Hetzner accepted a change to a firewall that cannot exist: is this its API?');
}

function toQuota(headers: Headers): HetznerAccess['quota'] {
  const [limit, remaining] = ['ratelimit-limit', 'ratelimit-remaining'].map((name) => headers.get(name));
  if (!/^\d+$/.test(limit ?? '') || !/^\d+$/.test(remaining ?? '')) return undefined;
  return { limit: Number(limit), remaining: Number(remaining) };
}
