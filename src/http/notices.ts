import { z } from 'zod';
import { listNotices as readNotices } from '../notices/listing.ts';
import { endpoint } from './endpoint.ts';
import { noticeJson, presentNotice } from './notice-json.ts';
import { cursorKind, pageOf, pageQuery } from './paging.ts';

const cursors = cursorKind('notice', z.int().min(0));

export const listNotices = endpoint({
  id: 'listNotices',
  method: 'get',
  path: '/api/notices',
  summary: 'Notices, newest first, each with its deliveries',
  access: 'viewer',
  query: z.object({ agentId: z.string().max(100).optional(), ...pageQuery }),
  answers: { 200: { description: 'A page of notices', schema: pageOf(noticeJson) } },
  handle: async ({ query, response, deps }) => {
    const rows = await readNotices(deps.database, {
      agentId: query.agentId,
      before: cursors.read(query.cursor),
      limit: query.limit + 1,
    });
    const { page, nextCursor } = cursors.split(rows, query.limit, (last) => last.sequence);
    response.json({ items: page.map(presentNotice), nextCursor });
  },
});
