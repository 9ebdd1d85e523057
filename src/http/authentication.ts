import { createHash, timingSafeEqual } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import type { Database } from '../database/connect.ts';
import type { Log } from '../log.ts';
import type { Secret } from '../secret.ts';
import { createFailedTokens } from './failed-tokens.ts';
import { HttpError } from './problem.ts';
import { createSessions, SESSION_SECONDS } from './sessions.ts';

export const SESSION_COOKIE = 'agent_stacks_session';

/** How long the answer to a session goes on at most after the session's end: event streams are answers, too. */
const LOOK_AGAIN_MS = 5_000;

/** How the operator is known: by the token itself, or by the session that the sign-in page exchanges it for. */
export interface Authentication {
  /** Looks at the token before its sender: only a wrong one counts against an address. */
  checkToken(request: Request, response: Response, text: string): Promise<TokenCheck>;
  /**
   * Whether the request carries the token or an open session.
   * @throws HttpError 429 after too many wrong tokens
   */
  isOperator(request: Request, response: Response): Promise<boolean>;
  /** Lets only the operator through. */
  requireOperator: RequestHandler;
  /** Refuses a request that changes something where it may come from another site. */
  requireSameOrigin: RequestHandler;
  startSession(response: Response): Promise<void>;
  /** Ends the request's session, for whoever else has a copy of its cookie as well. */
  endSession(request: Request, response: Response): Promise<void>;
}

/** `waitSeconds`: until this address is listened to again; 0 where it still is. */
export type TokenCheck = { right: true } | { right: false; waitSeconds: number };

/** What vouches for a request. */
type Voucher = { kind: 'token' } | { kind: 'session'; id: string } | undefined;

interface AuthenticationDeps {
  database: Database;
  log: Log;
  apiToken: Secret;
  publicUrl: string;
}

export function createAuthentication({
  database,
  log,
  apiToken,
  publicUrl,
}: AuthenticationDeps): Authentication {
  const sessions = createSessions(database, apiToken);
  const failedTokens = createFailedTokens(log);
  const expected = digest(apiToken.reveal());
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
    const token = bearerOf(request);
    if (token !== undefined) {
      const check = await checkToken(request, response, token);
      if (check.right) return { kind: 'token' };
      if (check.waitSeconds > 0) throw tooManyWrong(check.waitSeconds);
    }
    for (const id of cookies(request, SESSION_COOKIE))
      if (await sessions.isOpen(id)) return { kind: 'session', id };
    return undefined;
  };
  // Whoever asks twice for one request has it looked up, and a wrong token counted, once.
  const found = new WeakMap<Request, Promise<Voucher>>();
  const voucherOf = (request: Request, response: Response) => {
    const voucher = found.get(request) ?? findVoucher(request, response);
    found.set(request, voucher);
    return voucher;
  };

  const requireSameOrigin: RequestHandler = (request, _response, next) => {
    const safe = request.method === 'GET' || request.method === 'HEAD';
    if (!safe && !isSameOrigin(request, publicUrl)) {
      throw new HttpError(403, 'A request that changes something must come from this site’s own pages');
    }
    next();
  };
  return {
    checkToken,
    isOperator: async (request, response) => (await voucherOf(request, response)) !== undefined,
    requireOperator: async (request, response, next) => {
      const voucher = await voucherOf(request, response);
      if (voucher === undefined) {
        throw new HttpError(401, 'The operator’s token is needed: Authorization: Bearer API_TOKEN', {
          'www-authenticate': 'Bearer',
        });
      }
      response.set('cache-control', 'no-store');
      if (voucher.kind === 'token') return next();
      endWith(response, () => sessions.isOpen(voucher.id));
      requireSameOrigin(request, response, next);
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

/** Breaks an answer off that goes on after its session has ended. */
function endWith(response: Response, isOpen: () => Promise<boolean>): void {
  // Whoever left while we looked the session up is not told of again.
  if (response.closed) return;
  const look = setInterval(() => {
    // While the database is away nobody can have signed out.
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

/** Of equal length whatever comes in, so that the comparison takes the same time. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function bearerOf(request: Request): string | undefined {
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

/** A browser sends one; a second one may be another service's on another port of the same host. */
const MOST_COOKIES = 4;

/** Browsers say where a request comes from; a request that does not say it comes from no page of ours. */
function isSameOrigin(request: Request, publicUrl: string): boolean {
  // No page can set or change this one. Browsers leave it out only where the service is reached by plain http over a network.
  const site = request.get('sec-fetch-site');
  if (site !== undefined) return site === 'same-origin';
  const origin = request.get('origin');
  if (origin === undefined) return false;
  return origin === new URL(publicUrl).origin || origin === `${request.protocol}://${request.get('host')}`;
}
