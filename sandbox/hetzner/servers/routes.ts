import express from 'express';
import { sql } from 'kysely';
import { z } from 'zod';
import type { SandboxDatabase } from '../../database.ts';
import { orderedActionError } from '../../faults.ts';
import type { SandboxSettings } from '../../settings.ts';
import { hostname, listParameter, parseId, parseInput } from '../input.ts';
import { labelsInput } from '../labels.ts';
import { listQuery, nameAndLabels, paginationMeta, selectPage } from '../listing.ts';
import { dnsPtrInput } from '../reverse-dns.ts';
import { renamed } from '../updates.ts';
import { type ServerAction, startServerAction } from './actions.ts';
import * as changes from './changes.ts';
import { createServer, newPassword } from './create.ts';
import { serverInput } from './order.ts';
import { statusInSql } from './phases.ts';
import { POWER_ACTIONS } from './power.ts';
import { isVisible, readServer, toServers } from './store.ts';

const serverQuery = listQuery.extend({ status: listParameter });
const updateInput = z.object({ name: hostname.optional(), labels: labelsInput.optional() });

const SORTABLE = { id: sql.ref('id'), name: sql.ref('name'), created: sql.ref('created_at') };

interface Dependencies {
  database: SandboxDatabase;
  settings: SandboxSettings;
}

/** Serves `/servers` and `/servers/{id}/actions/…`. */
export function createServersRouter({ database, settings }: Dependencies): express.Router {
  const router = express.Router();
  router.get('/servers', async (request, response) => {
    response.json(await listServers(database, request.query));
  });
  router.post('/servers', async (request, response) => {
    const input = parseInput(serverInput, request.body);
    response
      .status(201)
      .json(await createServer({ database, settings }, input, orderedActionError(response)));
  });
  router.get('/servers/:id', async (request, response) => {
    const now = new Date();
    const row = await readServer(database, serverId(request), now);
    response.json({ server: (await toServers(database, [row], now))[0] });
  });
  router.put('/servers/:id', async (request, response) => {
    response.json({ server: await updateServer(database, serverId(request), request.body) });
  });
  router.delete('/servers/:id', async (request, response) => {
    const error = orderedActionError(response);
    const action = await startServerAction(
      { database, settings },
      serverId(request),
      changes.deleteServer,
      error,
    );
    response.json({ action });
  });
  addServerActions(router, { database, settings });
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
  for (const [name, action] of Object.entries(POWER_ACTIONS)) add(name, () => action);
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

async function listServers(database: SandboxDatabase, rawQuery: unknown) {
  const query = parseInput(serverQuery, rawQuery);
  const now = new Date();
  const select = database
    .selectFrom('hetzner_servers')
    .selectAll()
    .where(isVisible(now))
    .where(nameAndLabels(query))
    .$if(query.status.length > 0, (servers) => servers.where(statusInSql(now.getTime()), 'in', query.status));
  const page = await selectPage(select, SORTABLE, query);
  return { servers: await toServers(database, page.rows, now), meta: paginationMeta(query, page.total) };
}

async function updateServer(database: SandboxDatabase, id: number, body: unknown) {
  const update = parseInput(updateInput, body);
  return database.transaction().execute(async (trx) => {
    const now = new Date();
    await readServer(trx, id, now);
    const rows = await trx
      .updateTable('hetzner_servers')
      .set(renamed(update))
      .where('id', '=', id)
      .returningAll()
      .execute();
    return (await toServers(trx, rows, now))[0];
  });
}

function serverId(request: express.Request<{ id: string }>): number {
  return parseId(request.params.id, 'server');
}
