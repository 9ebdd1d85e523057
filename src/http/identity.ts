import { z } from 'zod';
import { principalOf } from './authentication.ts';
import { endpoint } from './endpoint.ts';
import { mayAct, ROLES } from './principal.ts';

export const identityJson = z
  .object({
    name: z.string(),
    role: z.enum(ROLES),
    mayAct: z.boolean().meta({ description: 'Whether this token or session may change anything' }),
  })
  .meta({ id: 'Identity' });

export const showIdentity = endpoint({
  id: 'showIdentity',
  method: 'get',
  path: '/api/identity',
  summary: 'Whose token or session this is, and whether it may act',
  access: 'operator',
  answers: { 200: { description: 'The sender', schema: identityJson } },
  handle: ({ response }) => {
    const principal = principalOf(response);
    response.json({ name: principal.name, role: principal.role, mayAct: mayAct(principal) });
  },
});
