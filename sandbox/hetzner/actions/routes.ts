import express from 'express';
import { expressionBuilder, sql } from 'kysely';
import type { SandboxDatabase, SandboxTables } from '../../database.ts';
import { HetznerError, notFound } from '../errors.ts';
import { listParameter, parseId, parseInput } from '../input.ts';
import { listQuery, paginationMeta, selectPage } from '../listing.ts';
import type { ResourceType } from '../tables.ts';
import { actionStatus, toAction } from './store.ts';

/** The resources that an action must concern; without fields, any. */
interface Scope {
  id?: number;
  type?: ResourceType;
}

const actionQuery = listQuery.extend({ id: listParameter, status: listParameter });

/** Serves actions: any by id, those of a kind of resource, and those of one resource. */
export function createActionsRouter({ database }: { database: SandboxDatabase }): express.Router {
  const router = express.Router();
  router.get('/actions', async (request, response) => {
    const ids = parseInput(actionQuery.pick({ id: true }), request.query).id.map(parseActionId);
    if (ids.length === 0) throw removedListing();
    response.json({ actions: await readActions(database, ids) });
  });
  router.get('/actions/:actionId', async (request, response) => {
    response.json({ action: await readAction(database, request.params.actionId, {}) });
  });
  addResourceActions(router, database, 'servers', 'server');
  addResourceActions(router, database, 'firewalls', 'firewall');
  addResourceActions(router, database, 'images', 'image');
  addResourceActions(router, database, 'primary_ips', 'primary_ip');
  return router;
}

function addResourceActions(
  router: express.Router,
  database: SandboxDatabase,
  plural: string,
  type: ResourceType,
): void {
  router.get(`/${plural}/actions`, async (request, response) => {
    response.json(await listActions(database, { type }, request.query));
  });
  router.get(`/${plural}/actions/:actionId`, async (request, response) => {
    response.json({ action: await readAction(database, request.params.actionId, { type }) });
  });
  // A deleted server's actions stay readable: clients wait for the action that deleted it.
  router.get(`/${plural}/:id/actions`, async (request, response) => {
    const id = parseId(request.params.id, type);
    response.json(await listActions(database, { type, id }, request.query));
  });
  router.get(`/${plural}/:id/actions/:actionId`, async (request, response) => {
    const id = parseId(request.params.id, type);
    response.json({ action: await readAction(database, request.params.actionId, { type, id }) });
  });
}

async function readActions(database: SandboxDatabase, ids: number[]) {
  const rows = await database
    .selectFrom('hetzner_actions')
    .selectAll()
    .where('id', 'in', ids)
    .orderBy('id')
    .execute();
  const now = new Date();
  return rows.map((row) => toAction(row, now));
}

async function readAction(database: SandboxDatabase, actionId: string | undefined, scope: Scope) {
  const row = await database
    .selectFrom('hetzner_actions')
    .selectAll()
    .where('id', '=', parseActionId(actionId))
    .where(isAbout(scope))
    .executeTakeFirst();
  if (row === undefined) throw notFound('action');
  return toAction(row, new Date());
}

async function listActions(database: SandboxDatabase, scope: Scope, rawQuery: unknown) {
  const query = parseInput(actionQuery, rawQuery);
  const ids = query.id.map(parseActionId);
  const now = new Date();
  const select = database
    .selectFrom('hetzner_actions')
    .selectAll()
    .where(isAbout(scope))
    .$if(ids.length > 0, (all) => all.where('id', 'in', ids))
    .$if(query.status.length > 0, (all) => all.where(actionStatus(now), 'in', query.status));
  const page = await selectPage(select, sortable(now), query);
  return { actions: page.rows.map((row) => toAction(row, now)), meta: paginationMeta(query, page.total) };
}

const sortable = (now: Date) => ({
  id: sql.ref('id'),
  command: sql.ref('command'),
  status: actionStatus(now),
  started: sql.ref('started_at'),
  finished: sql.ref('finishes_at'),
});

function isAbout(scope: Scope) {
  const eb = expressionBuilder<SandboxTables, 'hetzner_actions'>();
  return Object.keys(scope).length === 0
    ? eb.lit(true)
    : eb('resources', '@>', sql<never>`${JSON.stringify([scope])}::jsonb`);
}

function parseActionId(text: string | undefined): number {
  return parseId(text, 'action');
}

function removedListing(): HetznerError {
  const announcement = 'https://docs.hetzner.cloud/changelog#2023-07-20-actions-list-endpoint-is-deprecated';
  const message = 'listing arbitrary actions was removed: give the wanted ids';
  return new HetznerError(410, 'deprecated_api_endpoint', message, { announcement });
}
