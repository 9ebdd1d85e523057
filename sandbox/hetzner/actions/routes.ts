import express from 'express';
import type pg from 'pg';
import { HetznerError, notFound } from '../errors.ts';
import { listParameter, parseId, parseInput } from '../input.ts';
import { type Conditions, createConditions, listQuery, paginationMeta, selectPage } from '../listing.ts';
import { type ActionRow, actionStatusSql, type ResourceType, toAction } from './store.ts';

type Scope = Partial<{ id: number; type: ResourceType }>;

const actionQuery = listQuery.extend({ id: listParameter, status: listParameter });

const sortable = {
  id: 'id',
  command: 'command',
  status: actionStatusSql('now()'),
  started: 'started_at',
  finished: 'finishes_at',
};

/** Actions: all together by id, those of a kind of resource, those of one resource. */
export function createActionsRouter({ pool }: { pool: pg.Pool }): express.Router {
  const router = express.Router();
  router.get('/actions', async (request, response) => {
    const ids = parseInput(actionQuery.pick({ id: true }), request.query).id.map(parseActionId);
    if (ids.length === 0) throw removedListing();
    response.json({ actions: await readActions(pool, ids) });
  });
  router.get('/actions/:actionId', async (request, response) => {
    response.json({ action: await readAction(pool, request.params.actionId, {}) });
  });
  addActionsOf(router, pool, 'servers', 'server');
  addActionsOf(router, pool, 'firewalls', 'firewall');
  addActionsOf(router, pool, 'images', 'image');
  addActionsOf(router, pool, 'primary_ips', 'primary_ip');
  return router;
}

function addActionsOf(router: express.Router, pool: pg.Pool, plural: string, type: ResourceType) {
  router.get(`/${plural}/actions`, async (request, response) => {
    response.json(await listActions(pool, { type }, request.query));
  });
  router.get(`/${plural}/actions/:actionId`, async (request, response) => {
    response.json({ action: await readAction(pool, request.params.actionId, { type }) });
  });
  // A deleted server's actions stay readable, as the action that deleted it is waited for.
  router.get(`/${plural}/:id/actions`, async (request, response) => {
    const id = parseId(request.params.id, type);
    response.json(await listActions(pool, { type, id }, request.query));
  });
  router.get(`/${plural}/:id/actions/:actionId`, async (request, response) => {
    const id = parseId(request.params.id, type);
    response.json({ action: await readAction(pool, request.params.actionId, { type, id }) });
  });
}

async function readActions(pool: pg.Pool, ids: number[]) {
  const { rows } = await pool.query<ActionRow>(
    'SELECT * FROM hetzner_actions WHERE id = ANY($1) ORDER BY id',
    [ids],
  );
  const now = new Date();
  return rows.map((row) => toAction(row, now));
}

async function readAction(pool: pg.Pool, actionId: string | undefined, scope: Scope) {
  const conditions = createConditions();
  conditions.clauses.push(`id = ${conditions.bind(parseActionId(actionId))}`);
  addScope(conditions, scope);
  const { rows } = await pool.query<ActionRow>(
    `SELECT * FROM hetzner_actions WHERE ${conditions.clauses.join(' AND ')}`,
    conditions.values,
  );
  if (rows[0] === undefined) throw notFound('action');
  return toAction(rows[0], new Date());
}

async function listActions(pool: pg.Pool, scope: Scope, rawQuery: unknown) {
  const query = parseInput(actionQuery, rawQuery);
  const now = new Date();
  const conditions = createConditions();
  addScope(conditions, scope);
  if (query.id.length > 0)
    conditions.clauses.push(`id = ANY(${conditions.bind(query.id.map(parseActionId))})`);
  if (query.status.length > 0)
    conditions.clauses.push(
      `${actionStatusSql(conditions.bind(now))} = ANY(${conditions.bind(query.status)})`,
    );
  const page = await selectPage<ActionRow>(pool, { table: 'hetzner_actions', conditions, sortable }, query);
  return { actions: page.rows.map((row) => toAction(row, now)), meta: paginationMeta(query, page.total) };
}

function addScope(conditions: Conditions, scope: Scope): void {
  if (Object.keys(scope).length > 0)
    conditions.clauses.push(`resources @> ${conditions.bind(JSON.stringify([scope]))}::jsonb`);
}

function parseActionId(text: string | undefined): number {
  return parseId(text, 'action');
}

function removedListing(): HetznerError {
  const announcement = 'https://docs.hetzner.cloud/changelog#2023-07-20-actions-list-endpoint-is-deprecated';
  const message = 'listing arbitrary actions was removed: give the ids that are wanted';
  return new HetznerError(410, 'deprecated_api_endpoint', message, { announcement });
}
