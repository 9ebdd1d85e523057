import type { Request, Response } from 'express';
import type { Role } from '../database/vocabulary.ts';
import { actorName, isProgram, type Principal, readVia, whyForbidden } from './principal.ts';
import { HttpError } from './problem.ts';

/** Where authentication keeps the sender for the routes behind it. @throws Error on a route that is not */
export function principalOf(response: Response): Principal {
  const { principal } = response.locals as { principal?: Principal };
  if (principal === undefined) throw new Error('This route is not behind requirePrincipal');
  return principal;
}

/** Whom the audit log names for what this request changes. @throws HttpError 400 for a malformed header */
export function actorOf(request: Request, response: Response): string {
  return actorName(principalOf(response), readVia(request));
}

/** Whether a program asks. @throws HttpError 400 for a malformed header */
export function comesFromProgram(request: Request, response: Response): boolean {
  return isProgram(principalOf(response), readVia(request));
}

/** Whether a request may change something, by its method. */
export const isSafe = ({ method }: Pick<Request, 'method'>) => method === 'GET' || method === 'HEAD';

/**
 * Refuses a sender whose role does not allow this, and a program what is left to a person.
 * @throws HttpError 403, or 400 for a malformed header
 */
export function refuseForbidden(
  request: Request,
  response: Response,
  { least, isForPrograms = false }: { least: Role; isForPrograms?: boolean | undefined },
): void {
  const principal = principalOf(response);
  const wanted = { least, isForPrograms, changes: !isSafe(request), via: readVia(request) };
  const why = whyForbidden(principal, wanted);
  if (why === 'approval') throw approvalRequired();
  if (why === 'role') throw roleNotAllowed(principal, least);
}

function roleNotAllowed({ name, role }: Principal, least: Role): HttpError {
  const detail = `This needs the role ${least}; ${name} is ${role}`;
  return new HttpError(403, detail, {}, 'role-not-allowed');
}

/** The refusal of what a program may not ask for by itself. */
export function approvalRequired(): HttpError {
  const detail =
    'A program may not ask for this by itself: a person does it on the page, or approves there what is proposed';
  return new HttpError(403, detail, {}, 'approval-required');
}
