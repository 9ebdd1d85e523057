import type { RequestHandler, Response } from 'express';
import type { Role } from '../database/vocabulary.ts';
import { principalOf, refuseForbidden } from '../http/actor.ts';
import type { Authentication } from '../http/authentication.ts';

/** What stands before a page or a form: each lets only those through who may. */
export interface Guards {
  /** Everybody who has signed in, in at least this role. No form is open to a program. */
  least(role: Role): RequestHandler[];
  /** The same, and a person in a browser: what programs propose is decided by people. */
  person(role: Role): RequestHandler[];
}

/** `redirectStrangers`: sends a browser without a session to the sign-in page. */
export function createGuards(
  { requirePrincipal, requirePerson }: Authentication,
  redirectStrangers: RequestHandler,
): Guards {
  const least = (role: Role): RequestHandler[] => [
    redirectStrangers,
    requirePrincipal,
    (request, response, next) => {
      refuseForbidden(request, response, { least: role });
      next();
    },
  ];
  return { least, person: (role) => [...least(role), requirePerson] };
}

/** Whose role decides which buttons a page shows. A program only reads pages. */
export function roleOnPage(response: Response): Role {
  const { role } = principalOf(response);
  return role === 'program' ? 'viewer' : role;
}
