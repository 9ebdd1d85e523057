import express from 'express';
import type pg from 'pg';
import { z } from 'zod';
import { inTransaction } from '../../database.ts';
import { orderedActionError } from '../../faults.ts';
import type { SandboxSettings } from '../../settings.ts';
import { hostname, listParameter, parseId, parseInput } from '../input.ts';
import { labelsInput } from '../labels.ts';
import { addNameAndLabels, createConditions, listQuery, paginationMeta, selectPage } from '../listing.ts';
import { dnsPtrInput } from '../reverse-dns.ts';
import { type ServerAction, startServerAction } from './actions.ts';
import * as changes from './changes.ts';
import { createServer, newPassword } from './create.ts';
import { serverInput } from './order.ts';
import { statusSql } from './phases.ts';
import { powerActions } from './power.ts';
import { readServer, type ServerRow, toServers, visibleSql } from './store.ts';

const serverQuery = listQuery.extend({ status: listParameter });
const updateInput = z.object({ name: hostname.optional(), labels: labelsInput.optional() });
const sortable = { id: 'id', name: 'name', created: 'created_at' };

type Dependencies = { pool: pg.Pool; settings: SandboxSettings };

/** `/servers` and `/servers/{id}/actions/…`. */
export function createServersRouter({ pool, settings }: Dependencies): express.Router {
  const router = express.Router();
  router.get('/servers', async (request, response) => {
    response.json(await listServers(pool, request.query));
  });
  router.post('/servers', async (request, response) => {
    const input = parseInput(serverInput, request.body);
    response.status(201).json(await createServer({ pool, settings }, input, orderedActionError(response)));
  });
  router.get('/servers/:id', async (request, response) => {
    const now = new Date();
    const row = await readServer(pool, serverId(request), now);
    response.json({ server: (await toServers(pool, [row], now))[0] });
  });
  router.put('/servers/:id', async (request, response) => {
    response.json({ server: await updateServer(pool, serverId(request), request.body) });
  });
  router.delete('/servers/:id', async (request, response) => {
    const error = orderedActionError(response);
    const action = await startServerAction(
      { pool, settings },
      serverId(request),
      changes.deleteServer,
      error,
    );
    response.json({ action });
  });
  addServerActions(router, { pool, settings });
  return router;
}

function addServerActions(router: express.Router, dependencies: Dependencies): void {
  const add = (
    name: string,
    toServerAction: (body: unknown) => ServerAction,
    extra: (body: unknown) => object = () => ({}),
  ) => {
    router.post(`/servers/:id/actions/${name}`, async (request, response) => {
      const action = toServerAction(request.body);
      const error = orderedActionError(response);
      const started = await startServerAction(dependencies, serverId(request), action, error);
      response.status(201).json({ ...extra(request.body), action: started });
    });
  };
  const password = () => ({ root_password: newPassword() });
  for (const [name, action] of Object.entries(powerActions)) add(name, () => action);
  add('change_type', (body) => changes.changeType(parseInput(changes.changeTypeInput, body)));
  add('change_protection', (body) => changes.changeProtection(parseInput(changes.protectionInput, body)));
  add('rebuild', (body) => changes.rebuild(parseInput(changes.rebuildInput, body)), password);
  add('change_dns_ptr', (body) => changes.changeDnsPtr(parseInput(dnsPtrInput, body)));
  add('enable_rescue', () => changes.enableRescue, password);
  add('disable_rescue', () => changes.disableRescue);
  add('enable_backup', () => changes.enableBackup);
  add('disable_backup', () => changes.disableBackup);
  add('reset_password', () => changes.resetPassword, password);
}

async function listServers(pool: pg.Pool, rawQuery: unknown) {
  const query = parseInput(serverQuery, rawQuery);
  const now = new Date();
  const conditions = createConditions();
  conditions.clauses.push(visibleSql(conditions.bind(now)));
  addNameAndLabels(conditions, query);
  if (query.status.length > 0)
    conditions.clauses.push(
      `${statusSql('phases', conditions.bind(now.getTime()))} = ANY(${conditions.bind(query.status)})`,
    );
  const page = await selectPage<ServerRow>(pool, { table: 'hetzner_servers', conditions, sortable }, query);
  return { servers: await toServers(pool, page.rows, now), meta: paginationMeta(query, page.total) };
}

async function updateServer(pool: pg.Pool, id: number, body: unknown) {
  const update = parseInput(updateInput, body);
  return inTransaction(pool, async (client) => {
    const now = new Date();
    await readServer(client, id, now);
    const { rows } = await client.query<ServerRow>(
      `UPDATE hetzner_servers SET name = coalesce($2, name), labels = coalesce($3, labels)
       WHERE id = $1 RETURNING *`,
      [id, update.name, update.labels],
    );
    return (await toServers(client, rows, now))[0];
  });
}

function serverId(request: express.Request<{ id: string }>): number {
  return parseId(request.params.id, 'server');
}
