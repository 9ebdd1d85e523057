import { z } from 'zod';
import { ROLES, SIGN_IN_METHODS } from '../../database/vocabulary.ts';
import type { PersonRow } from '../../people/people.ts';
import type { SessionRow } from '../../people/session-list.ts';
import type { TokenRow } from '../../people/tokens.ts';
import { INSTALLATION } from '../environment-principals.ts';

const time = z.iso.datetime();

export const roleSchema = z.enum(ROLES, { error: `must be one of ${ROLES.join(', ')}` });

export const personJson = z
  .object({
    name: z.string().meta({ description: 'As the audit log names them' }),
    role: z.enum(ROLES),
    roleByClaim: z.boolean().meta({ description: 'Whether the OpenID provider says the role' }),
    login: z.string().meta({ description: 'What Tailscale and the OpenID provider call them' }),
    createdAt: time,
    createdBy: z.string(),
  })
  .meta({ id: 'Person' });

export function presentPerson(row: PersonRow): z.input<typeof personJson> {
  return {
    name: row.name,
    role: row.role,
    roleByClaim: row.role_by_claim,
    login: row.login,
    createdAt: row.created_at.toISOString(),
    createdBy: row.created_by,
  };
}

const tokenFields = {
  tokenId: z.guid(),
  name: z.string().meta({ description: 'Whose it is' }),
  label: z.string().meta({ description: 'What it is for' }),
  status: z.enum(['open', 'expired', 'revoked']),
  createdAt: time,
  createdBy: z.string(),
  expiresAt: time,
  lastUsedAt: time.nullable().meta({ description: 'Within ten minutes' }),
  revokedAt: time.nullable(),
};
export const tokenJson = z.object(tokenFields).meta({ id: 'Token' });
export const createdTokenJson = z
  .object({
    ...tokenFields,
    token: z.string().meta({ description: 'The token itself. Only this answer has it' }),
  })
  .meta({ id: 'CreatedToken' });

export function presentToken(row: TokenRow): z.input<typeof tokenJson> {
  return {
    tokenId: row.token_id,
    name: row.name,
    label: row.label,
    status: row.revoked_at !== null ? 'revoked' : row.isOpen ? 'open' : 'expired',
    createdAt: row.created_at.toISOString(),
    createdBy: row.created_by,
    expiresAt: row.expires_at.toISOString(),
    lastUsedAt: row.last_used_at?.toISOString() ?? null,
    revokedAt: row.revoked_at?.toISOString() ?? null,
  };
}

export const sessionJson = z
  .object({
    sessionId: z.guid(),
    name: z.string().meta({ description: 'Whose it is; `operator`: of who holds API_TOKEN' }),
    method: z.enum(SIGN_IN_METHODS),
    browser: z.string().nullable().meta({ description: 'What the browser calls itself' }),
    createdAt: time,
    lastUsedAt: time.nullable().meta({ description: 'Within ten minutes' }),
    expiresAt: time,
  })
  .meta({ id: 'Session' });

export function presentSession(row: SessionRow): z.input<typeof sessionJson> {
  return {
    sessionId: row.session_id,
    name: row.name ?? INSTALLATION.name,
    method: row.method,
    browser: row.browser,
    createdAt: row.created_at.toISOString(),
    lastUsedAt: row.last_used_at?.toISOString() ?? null,
    expiresAt: row.expires_at.toISOString(),
  };
}
