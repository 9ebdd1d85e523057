import type { Request, Response } from 'express';
import { principalOf } from './authentication.ts';
import { actorName, isProgram, mayAct, readVia } from './principal.ts';
import { HttpError } from './problem.ts';

/** Whom the audit log names for what this request changes. @throws HttpError 400 for a malformed header */
export function actorOf(request: Request, response: Response): string {
  return actorName(principalOf(response), readVia(request));
}

/** Whether a program asks. @throws HttpError 400 for a malformed header */
export function comesFromProgram(request: Request, response: Response): boolean {
  return isProgram(principalOf(response), readVia(request));
}

/**
 * Refuses a program what is left to a person.
 * @throws HttpError 403, or 400 for a malformed header
 */
export function refuseProgram(request: Request, response: Response, isForPrograms = false): void {
  if (!mayAct(principalOf(response), { via: readVia(request), isForPrograms })) throw approvalRequired();
}

/** The refusal of what a program may not ask for by itself. */
export function approvalRequired(): HttpError {
  const detail =
    'A program may not ask for this by itself: a person does it on the page, or approves there what is proposed';
  return new HttpError(403, detail, {}, 'approval-required');
}
