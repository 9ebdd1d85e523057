import { createHash, timingSafeEqual } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import type { Database } from '../database/connect.ts';
import type { Log } from '../log.ts';
import type { Secret } from '../secret.ts';
import { createFailedTokens } from './failed-tokens.ts';
import { mayAct, type Principal } from './principal.ts';
import { HttpError } from './problem.ts';
import { createSessions, SESSION_SECONDS } from './sessions.ts';

export const SESSION_COOKIE = 'agent_stacks_session';

/** How long an event stream may outlive its session. */
const LOOK_AGAIN_MS = 5_000;

/** Recognises the operator by the token itself, or by the session that the sign-in page exchanges it for. */
export interface Authentication {
  /** Checks an operator's token that was typed in. Only wrong tokens count against an address. */
  checkToken(request: Request, response: Response, text: string): Promise<TokenCheck>;
  /**
   * Whether the request carries a token or an open session.
   * @throws HttpError 429 after too many wrong tokens
   */
  isOperator(request: Request, response: Response): Promise<boolean>;
  /** Lets only those through who carry a token or a session, and to change something only those who may. */
  requireOperator: RequestHandler;
  /** Lets only a person through who has signed in on the page. After `requireOperator`. */
  requirePerson: RequestHandler;
  /** Refuses a changing request that may come from another site. */
  requireSameOrigin: RequestHandler;
  startSession(response: Response): Promise<void>;
  /** Ends the request's session, and with it every copy of its cookie. */
  endSession(request: Request, response: Response): Promise<void>;
}

/** `waitSeconds`: how long this address is blocked; 0 if it is not. */
export type TokenCheck = { right: true } | { right: false; waitSeconds: number };

/** What authenticates a request. */
type Voucher = { kind: 'token'; principal: Principal } | { kind: 'session'; id: string } | undefined;

const OPERATOR: Principal = { name: 'operator', role: 'operator', isSession: false };
const PROGRAM: Principal = { name: 'program', role: 'program', isSession: false };
const VIEWER: Principal = { name: 'viewer', role: 'viewer', isSession: false };
const PERSON: Principal = { name: 'operator', role: 'operator', isSession: true };

/** Where `requireOperator` keeps it for the routes behind it. @throws Error on a route that is not */
export function principalOf(response: Response): Principal {
  const { principal } = response.locals as { principal?: Principal };
  if (principal === undefined) throw new Error('This route is not behind requireOperator');
  return principal;
}

interface AuthenticationDeps {
  database: Database;
  log: Log;
  apiToken: Secret;
  /** A token that only reads; undefined: there is none. */
  viewerToken?: Secret | undefined;
  /** A token for programs; undefined: there is none. */
  programToken?: Secret | undefined;
  publicUrl: string;
}

export function createAuthentication({
  database,
  log,
  apiToken,
  viewerToken,
  programToken,
  publicUrl,
}: AuthenticationDeps): Authentication {
  const sessions = createSessions(database, apiToken);
  const failedTokens = createFailedTokens(log);
  const expected = digest(apiToken.reveal());
  const others = [
    { token: viewerToken, principal: VIEWER },
    { token: programToken, principal: PROGRAM },
  ].flatMap(({ token, principal }) => (token ? [{ expected: digest(token.reveal()), principal }] : []));
  const cookie = {
    httpOnly: true,
    sameSite: 'strict',
    secure: publicUrl.startsWith('https:'),
    path: '/',
  } as const;

  const checkToken: Authentication['checkToken'] = async (request, response, text) =>
    timingSafeEqual(digest(text), expected)
      ? { right: true }
      : { right: false, waitSeconds: await failedTokens.add(request, response) };

  const findVoucher = async (request: Request, response: Response): Promise<Voucher> => {
    const token = readBearer(request);
    if (token !== undefined) {
      const other = others.find((one) => timingSafeEqual(digest(token), one.expected));
      if (other !== undefined) return { kind: 'token', principal: other.principal };
      const check = await checkToken(request, response, token);
      if (check.right) return { kind: 'token', principal: OPERATOR };
      if (check.waitSeconds > 0) throw tooManyWrong(check.waitSeconds);
    }
    for (const id of cookies(request, SESSION_COOKIE))
      if (await sessions.isOpen(id)) return { kind: 'session', id };
    return undefined;
  };
  // Cached per request, so that a second call neither repeats the lookup nor counts a wrong token twice.
  const found = new WeakMap<Request, Promise<Voucher>>();
  const getVoucher = (request: Request, response: Response) => {
    const voucher = found.get(request) ?? findVoucher(request, response);
    found.set(request, voucher);
    return voucher;
  };

  const requireSameOrigin: RequestHandler = (request, _response, next) => {
    if (!isSafe(request) && !isSameOrigin(request, publicUrl)) {
      throw new HttpError(403, 'A changing request must come from this site’s own pages');
    }
    next();
  };
  return {
    checkToken,
    isOperator: async (request, response) => (await getVoucher(request, response)) !== undefined,
    requireOperator: async (request, response, next) => {
      const voucher = await getVoucher(request, response);
      if (voucher === undefined) {
        throw new HttpError(401, 'The operator’s token is required: Authorization: Bearer API_TOKEN', {
          'www-authenticate': 'Bearer',
        });
      }
      response.set('cache-control', 'no-store');
      const principal = voucher.kind === 'token' ? voucher.principal : PERSON;
      response.locals.principal = principal;
      if (!isSafe(request) && !mayAct(principal)) throw readsOnly();
      if (voucher.kind === 'token') return next();
      endWith(response, () => sessions.isOpen(voucher.id));
      requireSameOrigin(request, response, next);
    },
    requirePerson: (_request, response, next) => {
      if (!principalOf(response).isSession) throw notOnPage();
      next();
    },
    requireSameOrigin,
    startSession: async (response) => {
      response.cookie(SESSION_COOKIE, await sessions.start(), { ...cookie, maxAge: SESSION_SECONDS * 1000 });
    },
    endSession: async (request, response) => {
      for (const id of cookies(request, SESSION_COOKIE)) await sessions.end(id);
      response.clearCookie(SESSION_COOKIE, cookie);
    },
  };
}

const isSafe = ({ method }: Request) => method === 'GET' || method === 'HEAD';

const readsOnly = () => new HttpError(403, 'This token only reads', {}, 'role-not-allowed');

const notOnPage = () =>
  new HttpError(403, 'Only a person who has signed in on the page may do that', {}, 'role-not-allowed');

/** Closes a response that outlives its session. */
function endWith(response: Response, isOpen: () => Promise<boolean>): void {
  // The client left during the lookup; its `close` event has already fired.
  if (response.closed) return;
  const look = setInterval(() => {
    // While the database is away, no session can have ended.
    isOpen().then(
      (open) => open || response.destroy(),
      () => {},
    );
  }, LOOK_AGAIN_MS);
  response.once('close', () => clearInterval(look));
}

function tooManyWrong(seconds: number): HttpError {
  const detail = `Too many wrong tokens from this address: try again in ${seconds} seconds`;
  return new HttpError(429, detail, { 'retry-after': String(seconds) });
}

/** Hashed to equal length, so that comparing takes the same time for every input. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function readBearer(request: Request): string | undefined {
  return /^Bearer +([^\s]+) *$/i.exec(request.get('authorization') ?? '')?.[1];
}

function cookies(request: Request, name: string): string[] {
  return (request.get('cookie') ?? '')
    .split(';')
    .map((pair) => pair.trim().split('='))
    .filter(([key]) => key === name)
    .map(([, value]) => value ?? '')
    .slice(0, MOST_COOKIES);
}

/** A browser sends one; a second one may belong to another service on another port of the same host. */
const MOST_COOKIES = 4;

/** Browsers send a request's origin; a request without one comes from no page of ours. */
function isSameOrigin(request: Request, publicUrl: string): boolean {
  // No page can set or change this header. Browsers omit it only over plain http across a network.
  const site = request.get('sec-fetch-site');
  if (site !== undefined) return site === 'same-origin';
  const origin = request.get('origin');
  if (origin === undefined) return false;
  return origin === new URL(publicUrl).origin || origin === `${request.protocol}://${request.get('host')}`;
}
