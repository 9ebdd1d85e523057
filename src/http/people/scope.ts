import type { Response } from 'express';
import { hasRole } from '../../people/roles.ts';
import { principalOf } from '../actor.ts';
import { HttpError } from '../problem.ts';

/**
 * Whose tokens and sessions a sender sees and ends: an admin everybody's (undefined), others their own.
 * @throws HttpError 403 for a token of the environment that is no admin's: it is nobody's
 */
export function scopeOf(response: Response): string | undefined {
  const { role, personId } = principalOf(response);
  if (role !== 'program' && hasRole(role, 'admin')) return undefined;
  if (personId === undefined)
    throw new HttpError(403, 'This token belongs to nobody who has any', {}, 'role-not-allowed');
  return personId;
}
