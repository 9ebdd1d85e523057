import type { Request } from 'express';
import { HttpError } from './problem.ts';

export const ROLES = ['viewer', 'program', 'operator'] as const;
/**
 * What somebody may do, the least first: a viewer reads; a program also asks for what is harmless, and
 * proposes the rest; an operator acts.
 */
export type Role = (typeof ROLES)[number];

/** Who sent a request, as its token or session says. */
export interface Principal {
  name: string;
  role: Role;
  /** Signed in on the page, as people do; false with a token, as programs do. */
  isSession: boolean;
}

/**
 * Whether somebody in this role may change anything (no `request`), or ask for this. The only place that
 * decides it. `via`: the program that acts for them. `isForPrograms`: it is harmless in a program's hands.
 */
export function mayAct(
  { role }: { role: Role },
  request?: { via: string | undefined; isForPrograms: boolean },
): boolean {
  if (role === 'viewer') return false;
  return request === undefined || request.isForPrograms || !isProgram({ role }, request.via);
}

/** Whether a program asks: its token says so, or it names itself. */
export function isProgram({ role }: { role: Role }, via: string | undefined): boolean {
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

/** Whom the audit log names: `operator`, or `operator via mcp`. */
export function actorName({ name }: Principal, via: string | undefined): string {
  return via === undefined ? name : `${name} via ${via}`;
}
