import type { Request } from 'express';
import { ROLES, type Role } from '../database/vocabulary.ts';
import { hasRole } from '../people/roles.ts';
import { HttpError } from './problem.ts';

/**
 * What a sender may do: a person's role, or `program`, which asks for what is harmless and proposes the rest.
 */
export const SENDER_ROLES = [...ROLES, 'program'] as const;
export type SenderRole = (typeof SENDER_ROLES)[number];

/** Who sent a request, as its token or session says. */
export interface Principal {
  name: string;
  role: SenderRole;
  /** Signed in on the page, as people do; false with a token, as programs do. */
  isSession: boolean;
  /** Their row; undefined for the tokens of the environment. */
  personId?: string | undefined;
  /** The session, where it is one. */
  sessionId?: string | undefined;
}

/** What is asked for. */
export interface Wanted {
  /** The least role that may. */
  least: Role;
  /** Whether it changes anything: what only reads is open to every program. */
  changes: boolean;
  /** The program that acts for the sender. */
  via?: string | undefined;
  /** It is harmless in a program's hands. */
  isForPrograms?: boolean | undefined;
}

/** Why a sender may not: the role does not allow it, or a person has to approve it. */
export type Forbidden = 'role' | 'approval';

/** Whether somebody may do this; undefined: they may. The only place that decides it. */
export function whyForbidden({ role }: Pick<Principal, 'role'>, wanted: Wanted): Forbidden | undefined {
  const { least, changes, via, isForPrograms = false } = wanted;
  const asks = changes && isProgram({ role }, via) && !isForPrograms;
  // A program's token reads as a viewer, and asks for what is for programs.
  if (role === 'program') {
    if (asks) return 'approval';
    return changes || least === 'viewer' ? undefined : 'role';
  }
  if (!hasRole(role, least)) return 'role';
  return asks ? 'approval' : undefined;
}

/** Whether a program asks: its token says so, or it names itself. */
export function isProgram({ role }: Pick<Principal, 'role'>, via: string | undefined): boolean {
  return role === 'program' || via !== undefined;
}

/** The header in which a program that acts for somebody, such as the MCP server, names itself. */
export const VIA_HEADER = 'agents-via';
const VIA = /^[a-z][a-z0-9-]{0,19}$/;

/**
 * The program that acts for the sender; undefined: none.
 * @throws HttpError 400 for a name that is none
 */
export function readVia(request: Request): string | undefined {
  const via = request.get(VIA_HEADER);
  if (via === undefined) return undefined;
  if (!VIA.test(via))
    throw new HttpError(
      400,
      `header.${VIA_HEADER} must be 1 to 20 lower-case letters, digits and hyphens, a letter first`,
    );
  return via;
}

/** Whom the audit log names: `ada`, or `ada via mcp`. */
export function actorName({ name }: Principal, via: string | undefined): string {
  return via === undefined ? name : `${name} via ${via}`;
}
