import { createHash, timingSafeEqual } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import type { Secret } from '../secret.ts';
import { HttpError } from './problem.ts';
import { createTokenSigner } from './signed-token.ts';

export const SESSION_COOKIE = 'agent_stacks_session';
const SESSION_SECONDS = 12 * 3600;

/** How the operator is known: by the token itself, or by the cookie that the sign-in page exchanges it for. */
export interface Authentication {
  isApiToken(text: string): boolean;
  /** Whether the request carries the token or a valid cookie. */
  isOperator(request: Request): boolean;
  /** Lets only the operator through. */
  requireOperator: RequestHandler;
  /** Refuses a request that changes something when only a cookie vouches for it and it may come from another site. */
  requireSameOrigin: RequestHandler;
  startSession(response: Response): void;
  endSession(response: Response): void;
}

export function createAuthentication({
  apiToken,
  publicUrl,
}: {
  apiToken: Secret;
  publicUrl: string;
}): Authentication {
  const sessions = createTokenSigner(apiToken, 'operator session');
  const expected = digest(apiToken.reveal());
  const isApiToken = (text: string) => timingSafeEqual(digest(text), expected);
  const hasBearer = (request: Request) => {
    const [, token] = /^Bearer +([^\s]+) *$/i.exec(request.get('authorization') ?? '') ?? [];
    return token !== undefined && isApiToken(token);
  };
  const hasSession = (request: Request) =>
    cookies(request, SESSION_COOKIE).some((value) => sessions.verify('operator', value));
  const cookie = {
    httpOnly: true,
    sameSite: 'strict',
    secure: publicUrl.startsWith('https:'),
    path: '/',
  } as const;

  const requireSameOrigin: RequestHandler = (request, _response, next) => {
    const safe = request.method === 'GET' || request.method === 'HEAD';
    if (!safe && !hasBearer(request) && !isSameOrigin(request, publicUrl)) {
      throw new HttpError(403, 'A request that changes something must come from this site’s own pages');
    }
    next();
  };
  return {
    isApiToken,
    isOperator: (request) => hasBearer(request) || hasSession(request),
    requireOperator: (request, response, next) => {
      if (!hasBearer(request) && !hasSession(request)) {
        throw new HttpError(401, 'The operator’s token is needed: Authorization: Bearer API_TOKEN', {
          'www-authenticate': 'Bearer',
        });
      }
      response.set('cache-control', 'no-store');
      requireSameOrigin(request, response, next);
    },
    requireSameOrigin,
    startSession: (response) => {
      const value = sessions.sign('operator', SESSION_SECONDS);
      response.cookie(SESSION_COOKIE, value, { ...cookie, maxAge: SESSION_SECONDS * 1000 });
    },
    endSession: (response) => {
      response.clearCookie(SESSION_COOKIE, cookie);
    },
  };
}

/** Of equal length whatever comes in, so that the comparison takes the same time. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function cookies(request: Request, name: string): string[] {
  return (request.get('cookie') ?? '')
    .split(';')
    .map((pair) => pair.trim().split('='))
    .filter(([key]) => key === name)
    .map(([, value]) => value ?? '');
}

/** Browsers say where a request comes from; a request that does not say it comes from no page of ours. */
function isSameOrigin(request: Request, publicUrl: string): boolean {
  // No page can set or change this one. Browsers leave it out only where the service is reached by plain http over a network.
  const site = request.get('sec-fetch-site');
  if (site !== undefined) return site === 'same-origin';
  const origin = request.get('origin');
  if (origin === undefined) return false;
  return origin === new URL(publicUrl).origin || origin === `${request.protocol}://${request.get('host')}`;
}
