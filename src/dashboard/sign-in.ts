import express, { type RequestHandler } from 'express';
import { z } from 'zod';
import type { Authentication } from '../http/authentication.ts';
import type { HttpDeps } from '../http/deps.ts';
import { createSignInAttempts } from '../http/sign-in-attempts.ts';
import { layout } from './layout.ts';
import { signInPage } from './sign-in-page.ts';

/** A path on this site: one slash, then anything but another or its look-alike, which would name another site. */
const ownPath = z
  .string()
  .max(500)
  .regex(/^\/(?![/\\])[\x21-\x7e]*$/)
  .catch('/');

const formSchema = z.object({ token: z.string().max(1000).catch(''), next: ownPath });

interface SignIn {
  /** Sends a browser that is not signed in to the sign-in page, and back afterwards. */
  redirectStrangers: RequestHandler;
  show: RequestHandler;
  submit: RequestHandler[];
  signOut: RequestHandler;
}

/** The page that exchanges the operator's token for a cookie. */
export function createSignIn({ machines, log }: HttpDeps, authentication: Authentication): SignIn {
  const attempts = createSignInAttempts();
  const page = (content: { next: string; problem?: string }) =>
    layout({ title: 'Sign in', main: signInPage(content), machines }).toString();

  const submit: RequestHandler = (request, response) => {
    const { token, next } = formSchema.parse(request.body ?? {});
    const address = request.ip ?? '';
    const waitSeconds = attempts.waitSeconds(address);
    if (waitSeconds > 0) {
      const problem = `Too many attempts. Try again in ${waitSeconds} seconds.`;
      response.status(429).set('retry-after', String(waitSeconds)).type('html').send(page({ next, problem }));
    } else if (authentication.isApiToken(token.trim())) {
      authentication.startSession(response);
      response.redirect(303, next);
    } else {
      attempts.failed(address);
      log.warn({ event: 'sign-in.refused', address }, 'a sign-in with a wrong token');
      response
        .status(401)
        .type('html')
        .send(page({ next, problem: 'This is not the token.' }));
    }
  };
  return {
    redirectStrangers: (request, response, next) => {
      if (authentication.isOperator(request)) next();
      else response.redirect(303, `/sign-in?next=${encodeURIComponent(request.originalUrl)}`);
    },
    show: (request, response) => {
      response.set('cache-control', 'no-store').type('html');
      response.send(page({ next: ownPath.parse(request.query.next) }));
    },
    submit: [express.urlencoded({ extended: false, limit: '8kb' }), authentication.requireSameOrigin, submit],
    signOut: (_request, response) => {
      authentication.endSession(response);
      response.redirect(303, '/sign-in');
    },
  };
}
