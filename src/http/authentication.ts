import type { Request, RequestHandler, Response } from 'express';
import { type EventHub, PEOPLE_KEY } from '../operations/events/event-hub.ts';
import { type Opened, SESSION_SECONDS } from '../people/sessions.ts';
import { isSafe, principalOf } from './actor.ts';
import {
  type Credential,
  type CredentialDeps,
  cookies,
  createCredentials,
  SESSION_COOKIE,
} from './credentials.ts';
import { HttpError } from './problem.ts';

export { SESSION_COOKIE } from './credentials.ts';

/** How long an event stream may outlive its session or token while no notification comes. */
const LOOK_AGAIN_MS = 5_000;

/** Recognises senders by a token, or by the session that the sign-in page exchanges it for. */
export interface Authentication {
  /** Checks a token that was typed in. Only wrong tokens count against an address. */
  checkToken(
    request: Request,
    response: Response,
    text: string,
  ): Promise<Credential | { waitSeconds: number }>;
  /**
   * Whether the request carries a token or an open session.
   * @throws HttpError 429 after too many wrong tokens
   */
  isKnown(request: Request, response: Response): Promise<boolean>;
  /** Lets only those through who carry a token or a session. What they may is decided behind it. */
  requirePrincipal: RequestHandler;
  /** Lets only a person through who has signed in on the page. After `requirePrincipal`. */
  requirePerson: RequestHandler;
  /** Refuses a changing request that may come from another site. */
  requireSameOrigin: RequestHandler;
  /** Starts a session. One that the browser had before ends: it keeps no other's rights. */
  startSession(request: Request, response: Response, opened: Omit<Opened, 'browser'>): Promise<void>;
  /** Ends the request's session, and with it every copy of its cookie. */
  endSession(request: Request, response: Response): Promise<void>;
}

interface AuthenticationDeps extends CredentialDeps {
  events: EventHub;
  /** Where browsers reach the pages that people sign in on. */
  publicUrl: string;
}

export function createAuthentication(deps: AuthenticationDeps): Authentication {
  const { publicUrl, events } = deps;
  const credentials = createCredentials(deps);
  const { sessions } = credentials;
  const cookie = {
    httpOnly: true,
    sameSite: 'strict',
    secure: publicUrl.startsWith('https:'),
    path: '/',
  } as const;

  const requireSameOrigin: RequestHandler = (request, _response, next) => {
    if (!isSafe(request) && !isSameOrigin(request, publicUrl)) {
      throw new HttpError(403, 'A changing request must come from this site’s own pages');
    }
    next();
  };
  const endSession = async (request: Request) => {
    for (const secret of cookies(request, SESSION_COOKIE)) await sessions.end(secret);
  };
  return {
    checkToken: credentials.checkToken,
    isKnown: async (request, response) => (await credentials.find(request, response)) !== undefined,
    requirePrincipal: async (request, response, next) => {
      const credential = await credentials.find(request, response);
      if (credential === undefined) throw tokenRequired();
      response.set('cache-control', 'no-store');
      response.locals.principal = credential.principal;
      if (credential.isOpen !== undefined) endWith(response, events, credential.isOpen);
      if (credential.kind === 'token') return next();
      requireSameOrigin(request, response, next);
    },
    requirePerson: (_request, response, next) => {
      if (!principalOf(response).isSession) throw notOnPage();
      next();
    },
    requireSameOrigin,
    startSession: async (request, response, opened) => {
      await endSession(request);
      const secret = await sessions.start({ ...opened, browser: request.get('user-agent') });
      response.cookie(SESSION_COOKIE, secret, { ...cookie, maxAge: SESSION_SECONDS * 1000 });
    },
    endSession: async (request, response) => {
      await endSession(request);
      response.clearCookie(SESSION_COOKIE, cookie);
    },
  };
}

const tokenRequired = () =>
  new HttpError(401, 'A token is required: Authorization: Bearer API_TOKEN, or a person’s own', {
    'www-authenticate': 'Bearer',
  });

const notOnPage = () =>
  new HttpError(403, 'Only a person who has signed in on the page may do that', {}, 'role-not-allowed');

/** Closes a stream that outlives its session or token. A short answer under way is finished. */
function endWith(response: Response, events: EventHub, isOpen: () => Promise<boolean>): void {
  // The client left during the lookup; its `close` event has already fired.
  if (response.closed) return;
  const look = () => {
    // While the database is away, nothing can have ended.
    if (!response.headersSent || response.writableEnded) return;
    isOpen().then(
      (open) => open || response.destroy(),
      () => {},
    );
  };
  const timer = setInterval(look, LOOK_AGAIN_MS);
  const unsubscribe = events.subscribe(PEOPLE_KEY, look);
  response.once('close', () => {
    clearInterval(timer);
    unsubscribe();
  });
}

/** Browsers send a request's origin; a request without one comes from no page of ours. */
function isSameOrigin(request: Request, publicUrl: string): boolean {
  // No page can set or change this header. Browsers omit it only over plain http across a network.
  const site = request.get('sec-fetch-site');
  if (site !== undefined) return site === 'same-origin';
  const origin = request.get('origin');
  if (origin === undefined) return false;
  return origin === new URL(publicUrl).origin || origin === `${request.protocol}://${request.get('host')}`;
}
