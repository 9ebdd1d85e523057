import express from 'express';
import { sql } from 'kysely';
import { z } from 'zod';
import type { SandboxDatabase } from '../../database.ts';
import type { SandboxSettings } from '../../settings.ts';
import { HetznerError, limitExceeded } from '../errors.ts';
import { parseId, parseInput, resourceName } from '../input.ts';
import { labelsInput } from '../labels.ts';
import { listQuery, nameAndLabels, paginationMeta, selectPage } from '../listing.ts';
import { renamed } from '../updates.ts';
import { addFirewallActions, startFirewallActions } from './actions.ts';
import { rulesInput } from './rules.ts';
import { type FirewallRow, lockFirewall, readFirewall, targetInput, toFirewalls } from './store.ts';

const createInput = z.strictObject({
  name: resourceName,
  labels: labelsInput.default({}),
  rules: rulesInput.nullish(),
  apply_to: z.array(targetInput).nullish(),
});
const updateInput = z.strictObject({ name: resourceName.optional(), labels: labelsInput.optional() });

const SORTABLE = { id: sql.ref('id'), name: sql.ref('name'), created: sql.ref('created_at') };

interface Dependencies {
  database: SandboxDatabase;
  settings: SandboxSettings;
}

/** Serves `/firewalls`: at most `settings.maxFirewalls`; an applied one cannot be deleted. */
export function createFirewallsRouter({ database, settings }: Dependencies): express.Router {
  const router = express.Router();
  router.get('/firewalls', async (request, response) => {
    const query = parseInput(listQuery, request.query);
    const select = database.selectFrom('hetzner_firewalls').selectAll().where(nameAndLabels(query));
    const page = await selectPage(select, SORTABLE, query);
    const firewalls = await toFirewalls(database, page.rows);
    response.json({ firewalls, meta: paginationMeta(query, page.total) });
  });
  router.post('/firewalls', async (request, response) => {
    const input = parseInput(createInput, request.body);
    response.status(201).json(await createFirewall({ database, settings }, input, response));
  });
  router.get('/firewalls/:id', async (request, response) => {
    const row = await readFirewall(database, firewallId(request));
    response.json({ firewall: (await toFirewalls(database, [row]))[0] });
  });
  router.put('/firewalls/:id', async (request, response) => {
    const row = await updateFirewall(database, firewallId(request), parseInput(updateInput, request.body));
    response.json({ firewall: (await toFirewalls(database, [row]))[0] });
  });
  router.delete('/firewalls/:id', async (request, response) => {
    await deleteFirewall(database, firewallId(request));
    response.status(204).send();
  });
  addFirewallActions(router, { database, settings });
  return router;
}

function firewallId(request: express.Request<{ id: string }>): number {
  return parseId(request.params.id, 'firewall');
}

async function createFirewall(
  { database, settings }: Dependencies,
  input: z.infer<typeof createInput>,
  response: express.Response,
) {
  return database.transaction().execute(async (trx) => {
    // One create at a time: two concurrent ones could both see room for the last firewall.
    await sql`select pg_advisory_xact_lock(hashtext('hetzner-firewalls'))`.execute(trx);
    const { count } = await trx
      .selectFrom('hetzner_firewalls')
      .select(sql<number>`count(*)::int`.as('count'))
      .executeTakeFirstOrThrow();
    if (count >= settings.maxFirewalls) throw limitExceeded('firewall_limit');
    const rules = input.rules ?? [];
    const row = await trx
      .insertInto('hetzner_firewalls')
      .values({
        name: input.name,
        labels: JSON.stringify(input.labels),
        rules: JSON.stringify(rules),
        created_at: new Date(),
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    const actions = await startFirewallActions(trx, settings, row, response, {
      rulesSet: rules.length > 0,
      applyTo: input.apply_to ?? [],
    });
    return { firewall: (await toFirewalls(trx, [row]))[0], actions };
  });
}

async function updateFirewall(
  database: SandboxDatabase,
  id: number,
  update: z.infer<typeof updateInput>,
): Promise<FirewallRow> {
  const row = await database
    .updateTable('hetzner_firewalls')
    .set(renamed(update))
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst();
  return row ?? readFirewall(database, id);
}

async function deleteFirewall(database: SandboxDatabase, id: number): Promise<void> {
  await database.transaction().execute(async (trx) => {
    await lockFirewall(trx, id);
    const target = await trx
      .selectFrom('hetzner_firewall_targets')
      .select('firewall_id')
      .where('firewall_id', '=', id)
      .limit(1)
      .executeTakeFirst();
    if (target !== undefined)
      throw new HetznerError(422, 'resource_in_use', `firewall with ID '${id}' is still in use`);
    await trx.deleteFrom('hetzner_firewalls').where('id', '=', id).execute();
  });
}
