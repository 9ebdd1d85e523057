import type { RequestHandler } from 'express';
import { findGrant } from '../credentials/issued.ts';
import type { SandboxDatabase } from '../database.ts';
import { sameSecret } from '../tokens.ts';
import { HetznerError } from './errors.ts';

/** Rejects requests without a token of the project, and changes with one that only reads. */
export function authenticate(database: SandboxDatabase, hcloudToken: string): RequestHandler {
  return async (request, _response, next) => {
    const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (sameSecret(given, hcloudToken)) return next();
    const grant = await findGrant(database, 'hetzner', given);
    if (grant === undefined) throw new HetznerError(401, 'unauthorized', 'the given token is not valid');
    if (request.method !== 'GET')
      throw new HetznerError(403, 'token_readonly', 'the token is only allowed to perform GET requests');
    next();
  };
}

/**
 * Enforces Hetzner's quota with a token bucket: requests per hour, refilled continuously, with its state in
 * every answer's headers. `now` returns milliseconds. The bucket lives in memory: a restarted sandbox starts
 * with a full one.
 */
export function limitRequests(requestsPerHour: number, now: () => number = Date.now): RequestHandler {
  const perMs = requestsPerHour / 3_600_000;
  let remaining = requestsPerHour;
  let countedAtMs = now();
  return (_request, response, next) => {
    const nowMs = now();
    remaining = Math.min(requestsPerHour, remaining + (nowMs - countedAtMs) * perMs);
    countedAtMs = nowMs;
    const allowed = remaining >= 1;
    if (allowed) remaining -= 1;
    response.set({
      'RateLimit-Limit': String(requestsPerHour),
      'RateLimit-Remaining': String(Math.floor(remaining)),
      'RateLimit-Reset': String(Math.ceil((nowMs + (requestsPerHour - remaining) / perMs) / 1000)),
    });
    if (!allowed)
      throw new HetznerError(
        429,
        'rate_limit_exceeded',
        `limit of ${requestsPerHour} requests per hour reached`,
      );
    next();
  };
}
