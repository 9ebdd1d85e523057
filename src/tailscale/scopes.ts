import { z } from 'zod';
import type { TailscaleAccount } from '../config/accounts.ts';
import { requestAs } from '../http-client/request.ts';

/** What the service's OAuth client has to be allowed, as Tailscale's console calls it. */
export const NEEDED_SCOPES = ['auth_keys', 'devices:core'] as const;

const answer = z.object({ scope: z.string().optional() });

/**
 * Lists the needed scopes that an OAuth client lacks; undefined where nothing tells: an API key has its
 * owner's permissions.
 * @throws RefusedError if Tailscale rejects the client
 * @see https://tailscale.com/kb/1623/trust-credentials
 */
export async function findMissingScopes({
  credential,
  baseUrl,
}: Pick<TailscaleAccount, 'credential' | 'baseUrl'>): Promise<string[] | undefined> {
  if (credential.kind === 'api-key') return undefined;
  const { scope } = await requestAs(answer, {
    vendor: 'tailscale',
    method: 'POST',
    url: `${baseUrl}/api/v2/oauth/token`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      client_id: credential.clientId,
      client_secret: credential.clientSecret.reveal(),
    }).toString(),
  });
  if (scope === undefined || scope.trim() === '') return undefined;
  const granted = scope.split(/[\s,]+/);
  if (granted.includes('all')) return [];
  return NEEDED_SCOPES.filter((name) => !granted.includes(name) && !granted.includes(name.split(':')[0]!));
}
