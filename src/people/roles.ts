import { ROLES, type Role } from '../database/vocabulary.ts';

/** Whether somebody in this role may do what needs at least the other: each role includes those before it. */
export function hasRole(role: Role, least: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(least);
}
