import { createHash, timingSafeEqual } from 'node:crypto';
import type { Request, Response } from 'express';
import type { Database } from '../database/connect.ts';
import type { Log } from '../log.ts';
import { createSessions, type Sessions } from '../people/sessions.ts';
import { createTokens } from '../people/tokens.ts';
import type { Secret } from '../secret.ts';
import { INSTALLATION, PROGRAM, VIEWER } from './environment-principals.ts';
import { createFailedTokens } from './failed-tokens.ts';
import type { Principal } from './principal.ts';
import { HttpError } from './problem.ts';

export const SESSION_COOKIE = 'agent_stacks_session';

/** What tells who sent a request: a token, or the cookie of a session. */
export interface Credential {
  kind: 'token' | 'session';
  principal: Principal;
  /** The person's token; undefined for one of the environment. */
  tokenId?: string | undefined;
  /** Whether it still counts. Undefined: it does for as long as the process runs. */
  isOpen?: () => Promise<boolean>;
}

export interface Credentials {
  sessions: Sessions;
  /**
   * Whose token this is, of those that open sessions too; only wrong ones count against an address.
   * `waitSeconds`: how long this address is blocked; 0 if it is not.
   */
  checkToken(
    request: Request,
    response: Response,
    text: string,
  ): Promise<Credential | { waitSeconds: number }>;
  /**
   * What the request carries; undefined: nothing that is right.
   * @throws HttpError 429 after too many wrong tokens
   */
  find(request: Request, response: Response): Promise<Credential | undefined>;
}

export interface CredentialDeps {
  database: Database;
  log: Log;
  apiToken: Secret;
  /** A token that only reads; undefined: there is none. */
  viewerToken?: Secret | undefined;
  /** A token for programs; undefined: there is none. */
  programToken?: Secret | undefined;
}

export function createCredentials(deps: CredentialDeps): Credentials {
  const sessions = createSessions(deps.database, deps.apiToken);
  const findToken = createTokenLookup(deps);
  const failedTokens = createFailedTokens(deps.log);

  const checkToken: Credentials['checkToken'] = async (request, response, text) => {
    const found = await findToken(text);
    const opensSessions = found !== undefined && found.principal !== VIEWER && found.principal !== PROGRAM;
    return opensSessions ? found : { waitSeconds: await failedTokens.add(request, response) };
  };
  const find = async (request: Request, response: Response): Promise<Credential | undefined> => {
    const text = readBearer(request);
    if (text !== undefined) {
      const found = await findToken(text);
      if (found !== undefined) return found;
      const waitSeconds = await failedTokens.add(request, response);
      if (waitSeconds > 0) throw tooManyWrong(waitSeconds);
    }
    for (const secret of cookies(request, SESSION_COOKIE)) {
      const found = await sessions.find(secret);
      if (found !== undefined) return toCredential(found, sessions);
    }
    return undefined;
  };
  // Cached per request, so that a second call neither repeats the lookup nor counts a wrong token twice.
  const found = new WeakMap<Request, Promise<Credential | undefined>>();
  return {
    sessions,
    checkToken,
    find: (request, response) => {
      const credential = found.get(request) ?? find(request, response);
      found.set(request, credential);
      return credential;
    },
  };
}

/** The tokens of the environment, then those of people. */
function createTokenLookup({ database, apiToken, viewerToken, programToken }: CredentialDeps) {
  const tokens = createTokens(database);
  const fixed = [
    { token: apiToken, principal: INSTALLATION },
    { token: viewerToken, principal: VIEWER },
    { token: programToken, principal: PROGRAM },
  ].flatMap(({ token, principal }) => (token ? [{ expected: digest(token.reveal()), principal }] : []));
  return async (text: string): Promise<Credential | undefined> => {
    const given = digest(text);
    const one = fixed.find(({ expected }) => timingSafeEqual(given, expected));
    if (one !== undefined) return { kind: 'token', principal: one.principal };
    const found = await tokens.find(text);
    if (found === undefined) return undefined;
    const { tokenId, ...holder } = found;
    const principal = { ...holder, isSession: false };
    return { kind: 'token', principal, tokenId, isOpen: () => tokens.isOpen(tokenId) };
  };
}

function toCredential(
  { sessionId, holder }: NonNullable<Awaited<ReturnType<Sessions['find']>>>,
  sessions: Sessions,
): Credential {
  const principal = { ...(holder ?? INSTALLATION), isSession: true, sessionId };
  return { kind: 'session', principal, isOpen: () => sessions.isOpen(sessionId) };
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

/** Every value of a cookie: a second one may belong to another service on another port of the same host. */
export function cookies(request: Request, name: string): string[] {
  return (request.get('cookie') ?? '')
    .split(';')
    .map((pair) => pair.trim().split('='))
    .filter(([key]) => key === name)
    .map(([, value]) => value ?? '')
    .slice(0, MOST_COOKIES);
}

const MOST_COOKIES = 4;
