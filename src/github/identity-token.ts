import { z } from 'zod';
import type { CallLimits } from '../http-client/exchange.ts';
import { requestAs } from '../http-client/request.ts';
import type { Secret } from '../secret.ts';

/** GitHub's tokens are valid for at least five minutes. */
const KEPT_MS = 3 * 60_000;

/** Requests tokens that identify the current workflow run from GitHub. Each is reused for a few minutes. */
export function createIdentitySource(
  grant: { requestUrl: string; requestToken: Secret; audience: string } & CallLimits,
): () => Promise<string> {
  let token: { text: string; until: number } | undefined;
  return async () => {
    if (token === undefined || Date.now() > token.until) {
      const url = new URL(grant.requestUrl);
      url.searchParams.set('audience', grant.audience);
      const headers = { authorization: `Bearer ${grant.requestToken.reveal()}` };
      const { timeoutSeconds } = grant;
      const request = { method: 'GET' as const, url: url.href, headers, timeoutSeconds };
      const { value } = await requestAs(z.object({ value: z.string() }), request);
      token = { text: value, until: Date.now() + KEPT_MS };
    }
    return token.text;
  };
}
