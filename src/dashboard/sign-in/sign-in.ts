import express, { type Request, type RequestHandler, type Response, type Router } from 'express';
import { z } from 'zod';
import type { Authentication } from '../../http/authentication.ts';
import type { HttpDeps } from '../../http/deps.ts';
import { sendPage } from '../requests.ts';
import { ownPath, type SendSignIn } from './own-path.ts';
import { addOidcRoutes } from './sign-in-oidc.ts';
import { signInPage } from './sign-in-page.ts';
import { findTailscalePerson } from './sign-in-tailscale.ts';

const formSchema = z.object({ token: z.string().max(1000).catch(''), next: ownPath });

/** Sends a browser without a session to the sign-in page, which leads back afterwards. */
export function redirectStrangers(authentication: Authentication): RequestHandler {
  return async (request, response, next) => {
    if (await authentication.isKnown(request, response)) next();
    else response.redirect(303, `/sign-in?next=${encodeURIComponent(request.originalUrl)}`);
  };
}

/** Routes the sign-in page, which exchanges a token, or the word of another, for a session's cookie. */
export function addSignInRoutes(router: Router, deps: HttpDeps, authentication: Authentication): void {
  const { requireSameOrigin } = authentication;
  const form = express.urlencoded({ extended: false, limit: '8kb' });
  const send: SendSignIn = async (request, response, { next, problem, status = 200 }) => {
    const found = await findTailscalePerson(deps, request);
    const tailscale = found && { login: found.login, isKnown: found.person !== undefined };
    const main = signInPage({ next, problem, oidc: deps.signIn?.oidc !== undefined, tailscale });
    response.status(status).set('cache-control', 'no-store');
    sendPage(response, deps, { title: 'Sign in', main });
  };
  router.get('/sign-in', (request: Request, response: Response) =>
    send(request, response, { next: ownPath.parse(request.query.next) }),
  );
  router.post('/sign-in', form, requireSameOrigin, submitToken(authentication, send));
  router.post('/sign-in/tailscale', form, requireSameOrigin, submitTailscale(deps, authentication, send));
  addOidcRoutes(router, deps, { authentication, send });
  router.post('/sign-out', requireSameOrigin, async (request: Request, response: Response) => {
    await authentication.endSession(request, response);
    response.redirect(303, '/sign-in');
  });
}

function submitToken(authentication: Authentication, send: SendSignIn): RequestHandler {
  return async (request, response) => {
    const { token, next } = formSchema.parse(request.body ?? {});
    const check = await authentication.checkToken(request, response, token.trim());
    if ('principal' in check) {
      const { principal, tokenId } = check;
      const { personId } = principal;
      await authentication.startSession(request, response, { personId, tokenId, method: 'token' });
      response.redirect(303, next);
      return;
    }
    const { waitSeconds } = check;
    if (waitSeconds === 0) return send(request, response, { next, problem: 'Wrong token.', status: 401 });
    response.set('retry-after', String(waitSeconds));
    const problem = `Too many attempts. Try again in ${waitSeconds} seconds.`;
    await send(request, response, { next, problem, status: 429 });
  };
}

function submitTailscale(deps: HttpDeps, authentication: Authentication, send: SendSignIn): RequestHandler {
  return async (request, response) => {
    const next = ownPath.parse((request.body as { next?: unknown } | undefined)?.next);
    const person = (await findTailscalePerson(deps, request))?.person;
    if (person === undefined) {
      const problem = 'Tailscale names nobody who may sign in here.';
      return send(request, response, { next, problem, status: 403 });
    }
    const personId = person.person_id;
    await authentication.startSession(request, response, { personId, method: 'tailscale' });
    response.redirect(303, next);
  };
}
