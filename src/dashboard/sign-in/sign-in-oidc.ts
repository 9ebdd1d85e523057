import type { CookieOptions, Request, RequestHandler, Response, Router } from 'express';
import { errorMessage } from '../../errors.ts';
import type { Authentication } from '../../http/authentication.ts';
import { cookies } from '../../http/credentials.ts';
import { type HttpDeps, operatorUrlOf } from '../../http/deps.ts';
import { ClaimsError, createOidc, newAttempt, type Oidc } from '../../http/sign-in/oidc.ts';
import { findClaimed, UnknownPersonError } from '../../people/claimed-person.ts';
import { sendPage } from '../requests.ts';
import { ownPath, type SendSignIn } from './own-path.ts';
import { signedInPage } from './sign-in-page.ts';

const CALLBACK = '/sign-in/callback';
/**
 * Holds what this sign-in is derived from, and the path to lead to: `<43 characters>.<path in base64url>`.
 */
const COOKIE = 'agent_stacks_sign_in';
const ATTEMPT = /^[\w-]{43}\.[\w-]{0,700}$/;
/** How long somebody may take at the provider. */
const ATTEMPT_MS = 10 * 60_000;

interface Parts {
  authentication: Authentication;
  send: SendSignIn;
}

/** Routes the way to an OpenID provider and back, if there is one. */
export function addOidcRoutes(router: Router, deps: HttpDeps, parts: Parts): void {
  const config = deps.signIn?.oidc;
  if (config === undefined) return;
  const url = operatorUrlOf(deps);
  const oidc = createOidc(config, { apiToken: deps.apiToken, redirectUri: url + CALLBACK });
  // Lax, because the browser comes back from another site.
  const cookie: CookieOptions = {
    httpOnly: true,
    sameSite: 'lax',
    secure: url.startsWith('https:'),
    path: '/sign-in',
  };
  router.get('/sign-in/oidc', begin(deps, parts, { oidc, cookie }));
  router.get(CALLBACK, finish(deps, parts, { oidc, cookie }));
}

interface Provider {
  oidc: Oidc;
  cookie: CookieOptions;
}

function begin({ log }: HttpDeps, { send }: Parts, { oidc, cookie }: Provider): RequestHandler {
  return async (request, response) => {
    const next = ownPath.parse(request.query.next);
    const attempt = `${newAttempt()}.${Buffer.from(next).toString('base64url')}`;
    try {
      const address = await oidc.authorizationUrl(attempt);
      response.set('cache-control', 'no-store').cookie(COOKIE, attempt, { ...cookie, maxAge: ATTEMPT_MS });
      response.redirect(303, address.href);
    } catch (error) {
      log.warn(
        { event: 'oidc.unavailable', error: errorMessage(error) },
        'the OpenID provider did not answer',
      );
      const problem = 'The OpenID provider does not answer. Try again, or use a token.';
      await send(request, response, { next, problem, status: 503 });
    }
  };
}

function finish(deps: HttpDeps, { authentication, send }: Parts, { oidc, cookie }: Provider): RequestHandler {
  return async (request, response) => {
    const attempt = cookies(request, COOKIE).find((one) => ATTEMPT.test(one));
    // Whatever comes of it, it is over.
    response.clearCookie(COOKIE, cookie);
    const next = ownPath.parse(Buffer.from(attempt?.split('.')[1] ?? '', 'base64url').toString());
    try {
      if (attempt === undefined)
        throw new ClaimsError('This sign-in has expired or began in another browser');
      const claimed = await oidc.redeem(attempt, queryOf(request));
      const { person_id: personId } = await deps.database
        .transaction()
        .execute((trx) => findClaimed(trx, claimed));
      await authentication.startSession(request, response, { personId, method: 'oidc' });
    } catch (error) {
      return refuse(deps, send, { request, response, next, error });
    }
    response.set('cache-control', 'no-store');
    sendPage(response, deps, { title: 'Signed in', main: signedInPage(next), leadsTo: next });
  };
}

/** With the question mark; empty: there is none. */
function queryOf({ originalUrl }: Request): string {
  const at = originalUrl.indexOf('?');
  return at < 0 ? '' : originalUrl.slice(at);
}

interface Failed {
  request: Request;
  response: Response;
  next: string;
  error: unknown;
}

/** @throws the error, if it is neither the provider's nor that of whoever signs in */
async function refuse({ log }: HttpDeps, send: SendSignIn, failed: Failed): Promise<void> {
  const { request, response, next, error } = failed;
  const isTheirs = error instanceof ClaimsError || error instanceof UnknownPersonError;
  if (!isTheirs && !isProviders(error)) throw error;
  // The message names neither codes nor tokens.
  log.warn({ event: 'oidc.refused', error: errorMessage(error) }, 'refused a sign-in by OpenID');
  const problem = isTheirs
    ? errorMessage(error)
    : 'The OpenID provider’s answer was not accepted. Try again.';
  await send(request, response, { next, problem, status: 403 });
}

/** What openid-client and `fetch` throw, apart from what the database does. */
function isProviders(error: unknown): boolean {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  if (name === 'TypeError' && code === undefined) return errorMessage(error) === 'fetch failed';
  return (typeof code === 'string' && code.startsWith('OAUTH_')) || OIDC_ERRORS.includes(String(name));
}

const OIDC_ERRORS = [
  'AuthorizationResponseError',
  'ResponseBodyError',
  'WWWAuthenticateChallengeError',
  'ClientError',
  'OperationProcessingError',
  'TimeoutError',
];
