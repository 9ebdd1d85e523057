import type { Request, Response } from 'express';
import { principalOf } from './authentication.ts';
import { actorName, readVia } from './principal.ts';

/** Whom the audit log names for what this request changes. @throws HttpError 400 for a malformed header */
export function actorOf(request: Request, response: Response): string {
  return actorName(principalOf(response), readVia(request));
}
