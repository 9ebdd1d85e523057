import { z } from 'zod';
import { endSession as end, listSessions as readSessions } from '../../people/session-list.ts';
import { actorOf } from '../actor.ts';
import { endpoint } from '../endpoint.ts';
import { pageOf } from '../paging.ts';
import { presentSession, sessionJson } from './people-json.ts';
import { scopeOf } from './scope.ts';

export const listSessions = endpoint({
  id: 'listSessions',
  method: 'get',
  path: '/api/sessions',
  summary: 'Open sessions in browsers, newest first, on one page; for an admin everybody’s',
  access: 'viewer',
  answers: {
    200: { description: 'All of them', schema: pageOf(sessionJson) },
    403: { description: 'A token of the environment that is no admin’s' },
  },
  handle: async ({ response, deps: { database } }) => {
    const rows = await readSessions(database, { personId: scopeOf(response) });
    response.json({ items: rows.map(presentSession), nextCursor: null });
  },
});

export const endSession = endpoint({
  id: 'endSession',
  method: 'delete',
  path: '/api/sessions/{sessionId}',
  summary: 'End a session at once; one’s own, or as an admin anybody’s',
  access: 'viewer',
  params: z.object({ sessionId: z.guid() }),
  answers: { 200: { description: 'As it was', schema: sessionJson } },
  handle: async ({ params: { sessionId }, request, response, deps: { database } }) => {
    const wanted = { sessionId, personId: scopeOf(response), actor: actorOf(request, response) };
    const row = await database.transaction().execute((trx) => end(trx, wanted));
    response.json(presentSession(row));
  },
});
