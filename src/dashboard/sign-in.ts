import express, { type RequestHandler, type Response } from 'express';
import { z } from 'zod';
import type { Authentication } from '../http/authentication.ts';
import type { HttpDeps } from '../http/deps.ts';
import { layout } from './layout.ts';
import { signInPage } from './sign-in-page.ts';

/** A path on this site. A slash or a backslash right after the first slash would lead to another site. */
const ownPath = z
  .string()
  .max(500)
  .regex(/^\/(?![/\\])[\x21-\x7e]*$/)
  .catch('/');

const formSchema = z.object({ token: z.string().max(1000).catch(''), next: ownPath });

interface SignIn {
  /** Sends a browser without a session to the sign-in page, which redirects back afterwards. */
  redirectStrangers: RequestHandler;
  show: RequestHandler;
  submit: RequestHandler[];
  signOut: RequestHandler;
}

/** Whether `redirectStrangers` has let this request through. */
export const isShownToOperator = ({ locals }: Pick<Response, 'locals'>): boolean =>
  locals.isOperator === true;

/** Creates the handlers of the sign-in page, which exchanges the operator's token for a session cookie. */
export function createSignIn({ machines }: HttpDeps, authentication: Authentication): SignIn {
  const page = (content: { next: string; problem?: string }) =>
    layout({ title: 'Sign in', main: signInPage(content), machines }).toString();

  const submit: RequestHandler = async (request, response) => {
    const { token, next } = formSchema.parse(request.body ?? {});
    const check = await authentication.checkToken(request, response, token.trim());
    if (check.right) {
      await authentication.startSession(response);
      response.redirect(303, next);
      return;
    }
    const { waitSeconds } = check;
    if (waitSeconds > 0) response.set('retry-after', String(waitSeconds));
    const problem =
      waitSeconds > 0 ? `Too many attempts. Try again in ${waitSeconds} seconds.` : 'Wrong token.';
    response
      .status(waitSeconds > 0 ? 429 : 401)
      .type('html')
      .send(page({ next, problem }));
  };
  return {
    redirectStrangers: async (request, response, next) => {
      response.locals.isOperator = await authentication.isOperator(request, response);
      if (response.locals.isOperator === true) next();
      else response.redirect(303, `/sign-in?next=${encodeURIComponent(request.originalUrl)}`);
    },
    show: (request, response) => {
      response.set('cache-control', 'no-store').type('html');
      response.send(page({ next: ownPath.parse(request.query.next) }));
    },
    submit: [express.urlencoded({ extended: false, limit: '8kb' }), authentication.requireSameOrigin, submit],
    signOut: async (request, response) => {
      await authentication.endSession(request, response);
      response.redirect(303, '/sign-in');
    },
  };
}
