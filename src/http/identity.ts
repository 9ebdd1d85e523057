import { z } from 'zod';
import { principalOf } from './actor.ts';
import { endpoint } from './endpoint.ts';
import { SENDER_ROLES } from './principal.ts';

export const identityJson = z
  .object({
    name: z.string(),
    role: z.enum(SENDER_ROLES),
    mayAct: z.boolean().meta({ description: 'Whether this token or session may change anything' }),
  })
  .meta({ id: 'Identity' });

export const showIdentity = endpoint({
  id: 'showIdentity',
  method: 'get',
  path: '/api/identity',
  summary: 'Whose token or session this is, and whether it may act',
  access: 'viewer',
  answers: { 200: { description: 'The sender', schema: identityJson } },
  handle: ({ response }) => {
    const { name, role } = principalOf(response);
    response.json({ name, role, mayAct: role !== 'viewer' });
  },
});
