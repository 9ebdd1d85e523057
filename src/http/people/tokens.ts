import { z } from 'zod';
import { personNameSchema } from '../../people/names.ts';
import {
  createToken as create,
  DEFAULT_TOKEN_DAYS,
  MOST_TOKEN_DAYS,
  listTokens as readTokens,
  revokeToken as revoke,
} from '../../people/tokens.ts';
import { actorOf } from '../actor.ts';
import { endpoint } from '../endpoint.ts';
import { cursorKind, pageOf, pageQuery } from '../paging.ts';
import { createdTokenJson, presentToken, tokenJson } from './people-json.ts';
import { scopeOf } from './scope.ts';

const cursors = cursorKind('token', z.int().min(0));

export const listTokens = endpoint({
  id: 'listTokens',
  method: 'get',
  path: '/api/tokens',
  summary: 'Tokens of people, newest first; for an admin everybody’s, for others their own',
  access: 'viewer',
  query: z.object(pageQuery),
  answers: {
    200: {
      description: 'A page of tokens; those that ended are kept for 90 days',
      schema: pageOf(tokenJson),
    },
    403: { description: 'A token of the environment that is no admin’s' },
  },
  handle: async ({ query, response, deps: { database } }) => {
    const before = cursors.read(query.cursor);
    const wanted = { personId: scopeOf(response), before, limit: query.limit + 1 };
    const rows = await readTokens(database, wanted);
    const { page, nextCursor } = cursors.split(rows, query.limit, (last) => last.sequence);
    response.json({ items: page.map(presentToken), nextCursor });
  },
});

const DAYS = `must be a whole number from 1 to ${MOST_TOKEN_DAYS}`;

/** What a new token is made of. */
export const newTokenFields = {
  name: personNameSchema.meta({ description: 'Whose it will be' }),
  label: z
    .string({ error: 'must be a text that says what it is for' })
    .trim()
    .min(1, 'must say what it is for')
    .max(100, 'must have at most 100 characters'),
  days: z
    .int(DAYS)
    .min(1, DAYS)
    .max(MOST_TOKEN_DAYS, DAYS)
    .optional()
    .meta({ description: `Until it expires; default ${DEFAULT_TOKEN_DAYS}` }),
};

export const createToken = endpoint({
  id: 'createToken',
  method: 'post',
  path: '/api/tokens',
  summary: 'Make a token for somebody',
  access: 'admin',
  body: z
    .strictObject(newTokenFields, {
      error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined),
    })
    .meta({ id: 'NewToken' }),
  answers: {
    201: { description: 'The token, shown only now', schema: createdTokenJson },
    404: { description: 'There is nobody called so' },
    409: { description: 'They have too many' },
  },
  handle: async ({ body, request, response, deps: { database } }) => {
    const actor = actorOf(request, response);
    const { row, token } = await database.transaction().execute((trx) => create(trx, { ...body, actor }));
    response.status(201).json({ ...presentToken(row), token: token.reveal() });
  },
});

export const revokeToken = endpoint({
  id: 'revokeToken',
  method: 'delete',
  path: '/api/tokens/{tokenId}',
  summary: 'Revoke a token at once, and the sessions opened with it; one’s own, or as an admin anybody’s',
  access: 'viewer',
  params: z.object({ tokenId: z.guid() }),
  answers: { 200: { description: 'As it is now', schema: tokenJson } },
  handle: async ({ params: { tokenId }, request, response, deps: { database } }) => {
    const wanted = { tokenId, personId: scopeOf(response), actor: actorOf(request, response) };
    const row = await database.transaction().execute((trx) => revoke(trx, wanted));
    response.json(presentToken(row));
  },
});
