import type { RequestHandler, Response } from 'express';
import { findGrant } from '../credentials/issued.ts';
import type { SandboxDatabase } from '../database.ts';
import { sameSecret } from '../tokens.ts';
import { HetznerError } from './errors.ts';
import { OWN_PROJECT } from './projects.ts';

/** What a request may do, and in which project. Without a valid token it counts for the sandbox's own. */
interface Access {
  project: string;
  permission: 'none' | 'read' | 'write';
}

/** Finds out whose token a request has. */
export function identify(database: SandboxDatabase, hcloudToken: string): RequestHandler {
  const find = async (given: string): Promise<Access> => {
    if (sameSecret(given, hcloudToken)) return { project: OWN_PROJECT, permission: 'write' };
    const grant = await findGrant(database, 'hetzner', given);
    return {
      project: grant?.project ?? OWN_PROJECT,
      permission: grant?.permission ?? 'none',
    };
  };
  return async (request, response, next) => {
    response.locals.access = await find(
      /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '',
    );
    next();
  };
}

export const accessOf = (response: Response): Access => response.locals.access as Access;

/** Rejects requests without a token of a project, and changes with one that only reads. */
export const refuseUnauthorized: RequestHandler = (request, response, next) => {
  const { permission } = accessOf(response);
  if (permission === 'none') throw new HetznerError(401, 'unauthorized', 'the given token is not valid');
  if (permission === 'read' && request.method !== 'GET')
    throw new HetznerError(403, 'token_readonly', 'the token is only allowed to perform GET requests');
  next();
};

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
