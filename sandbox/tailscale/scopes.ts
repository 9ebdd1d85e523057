import type { RequestHandler } from 'express';
import type { Caller } from './credentials.ts';
import { TailscaleError } from './errors.ts';

const AREAS: readonly [RegExp, string][] = [
  [/^\/tailnet\/[^/]+\/keys(\/|$)/, 'auth_keys'],
  [/^\/tailnet\/[^/]+\/devices(\/|$)/, 'devices:core'],
  [/^\/device\//, 'devices:core'],
  [/^\/tailnet\/[^/]+\/acl(\/|$)/, 'policy_file'],
];

/**
 * Requires that an OAuth client has the scope for the call; an API key may do whatever its owner may. Source:
 * https://tailscale.com/kb/1623/trust-credentials
 */
export const requireScope: RequestHandler = (request, response, next) => {
  const { scopes }: Caller = response.locals.caller;
  const area = AREAS.find(([path]) => path.test(request.path))?.[1];
  if (scopes === undefined || area === undefined) return next();
  const reads = request.method === 'GET' || request.path.endsWith('/acl/validate');
  const enough = [area, 'all', ...(reads ? [`${area}:read`, 'all:read'] : [])];
  if (!scopes.some((scope) => enough.includes(scope)))
    throw new TailscaleError(403, 'calling actor does not have enough permissions to perform this function');
  next();
};
