import { z } from 'zod';
import { listAudit as readAudit } from '../audit/listing.ts';
import { verifyAudit as verify } from '../audit/verify.ts';
import { auditJson, presentAudit, verificationJson } from './audit-json.ts';
import { endpoint } from './endpoint.ts';
import { cursorKind, pageOf, pageQuery } from './paging.ts';

const cursors = cursorKind('audit', z.int().min(0));

export const listAudit = endpoint({
  id: 'listAudit',
  method: 'get',
  path: '/api/audit',
  summary: 'The audit log, newest first: who asked for what, and what changed',
  access: 'viewer',
  query: z.object({ agentId: z.string().max(100).optional(), ...pageQuery }),
  answers: { 200: { description: 'A page of rows', schema: pageOf(auditJson) } },
  handle: async ({ query, response, deps }) => {
    const rows = await readAudit(deps.database, {
      agentId: query.agentId,
      before: cursors.read(query.cursor),
      limit: query.limit + 1,
    });
    const { page, nextCursor } = cursors.split(rows, query.limit, (last) => last.id);
    response.json({ items: page.map(presentAudit), nextCursor });
  },
});

const notedHead = z
  .string()
  .regex(/^[1-9]\d{0,14}:[0-9a-f]{64}$/, 'must be POSITION:HASH, as an earlier verification gave them')
  .transform((text) => {
    const [position, hash] = text.split(':') as [string, string];
    return { position: Number(position), hash };
  });

export const verifyAudit = endpoint({
  id: 'verifyAudit',
  method: 'get',
  path: '/api/audit/verification',
  summary: 'Recomputes the chain over the audit log and names the first thing that is wrong',
  access: 'viewer',
  query: z.object({
    head: notedHead.optional().meta({ description: 'An earlier end of the chain, which it must contain' }),
  }),
  answers: { 200: { description: 'What was found', schema: verificationJson } },
  handle: async ({ query, response, deps }) => {
    response.json(await verify(deps.database, deps.keyring, query.head));
  },
});
