import type { Request } from 'express';
import { HttpError } from './problem.ts';

export const ROLES = ['viewer', 'operator'] as const;
/** What somebody may do, the least first: a viewer reads, an operator acts. */
export type Role = (typeof ROLES)[number];

/** Who sent a request, as its token or session says. */
export interface Principal {
  name: string;
  role: Role;
  /** Signed in on the page, as people do; false with a token, as programs do. */
  isSession: boolean;
}

/** Whether somebody in this role may change anything. The only place that decides it. */
export function mayAct({ role }: { role: Role }): boolean {
  return role === 'operator';
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
