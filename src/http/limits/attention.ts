import { z } from 'zod';
import { ATTENTION_CLASSES } from '../../database/vocabulary.ts';
import { listAttention as readAttention } from '../../reconcile/attention.ts';
import { endpoint } from '../endpoint.ts';
import { cursorKind, pageOf, pageQuery } from '../paging.ts';
import { attentionJson, presentAttention } from './attention-json.ts';

export const attentionCursors = cursorKind(
  'attention',
  z.strictObject({
    since: z.iso.datetime({ precision: 6 }),
    class: z.string().max(40),
    key: z.string().max(255),
  }),
);

export const listAttention = endpoint({
  id: 'listAttention',
  method: 'get',
  path: '/api/attention',
  summary:
    'Everything that needs a person, newest first, each with its cause and what to do; proposals are listed apart',
  access: 'viewer',
  query: z.object(pageQuery),
  answers: { 200: { description: 'A page of what needs a person', schema: pageOf(attentionJson) } },
  handle: async ({ query, response, deps: { database } }) => {
    const after = attentionCursors.read(query.cursor);
    const rows = await readAttention(database, { after, classes: ATTENTION_CLASSES, limit: query.limit + 1 });
    const { page, nextCursor } = attentionCursors.split(rows, query.limit, (last) => last.position);
    response.json({ items: page.map(presentAttention), nextCursor });
  },
});
