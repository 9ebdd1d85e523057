import express from 'express';
import type pg from 'pg';
import { z } from 'zod';
import { inTransaction } from '../../database.ts';
import type { SandboxSettings } from '../../settings.ts';
import { HetznerError, limitExceeded } from '../errors.ts';
import { parseId, parseInput, resourceName } from '../input.ts';
import { labelsInput } from '../labels.ts';
import { addNameAndLabels, createConditions, listQuery, paginationMeta, selectPage } from '../listing.ts';
import { addFirewallActions, startFirewallActions } from './actions.ts';
import { rulesInput } from './rules.ts';
import { type FirewallRow, readFirewall, targetInput, toFirewalls } from './store.ts';

const createInput = z.strictObject({
  name: resourceName,
  labels: labelsInput.default({}),
  rules: rulesInput.nullish(),
  apply_to: z.array(targetInput).nullish(),
});
const updateInput = z.strictObject({ name: resourceName.optional(), labels: labelsInput.optional() });
const sortable = { id: 'id', name: 'name', created: 'created_at' };

type Dependencies = { pool: pg.Pool; settings: SandboxSettings };

/** `/firewalls`: at most `settings.maxFirewalls`; one that is applied to anything cannot be deleted. */
export function createFirewallsRouter({ pool, settings }: Dependencies): express.Router {
  const router = express.Router();
  router.get('/firewalls', async (request, response) => {
    const query = parseInput(listQuery, request.query);
    const conditions = createConditions();
    addNameAndLabels(conditions, query);
    const source = { table: 'hetzner_firewalls', conditions, sortable };
    const page = await selectPage<FirewallRow>(pool, source, query);
    const firewalls = await toFirewalls(pool, page.rows);
    response.json({ firewalls, meta: paginationMeta(query, page.total) });
  });
  router.post('/firewalls', async (request, response) => {
    const input = parseInput(createInput, request.body);
    response.status(201).json(await createFirewall({ pool, settings }, input, response));
  });
  router.get('/firewalls/:id', async (request, response) => {
    const row = await readFirewall(pool, firewallId(request));
    response.json({ firewall: (await toFirewalls(pool, [row]))[0] });
  });
  router.put('/firewalls/:id', async (request, response) => {
    const row = await updateFirewall(pool, firewallId(request), parseInput(updateInput, request.body));
    response.json({ firewall: (await toFirewalls(pool, [row]))[0] });
  });
  router.delete('/firewalls/:id', async (request, response) => {
    await deleteFirewall(pool, firewallId(request));
    response.status(204).send();
  });
  addFirewallActions(router, { pool, settings });
  return router;
}

function firewallId(request: express.Request<{ id: string }>): number {
  return parseId(request.params.id, 'firewall');
}

async function createFirewall(
  { pool, settings }: Dependencies,
  input: z.infer<typeof createInput>,
  response: express.Response,
) {
  return inTransaction(pool, async (client) => {
    // One create at a time, or two of them could both see room for the last one.
    await client.query("SELECT pg_advisory_xact_lock(hashtext('hetzner-firewalls'))");
    const count = await client.query<{ n: number }>('SELECT count(*)::int AS n FROM hetzner_firewalls');
    if (count.rows[0]!.n >= settings.maxFirewalls) throw limitExceeded('firewall_limit');
    const { rows } = await client.query<FirewallRow>(
      `INSERT INTO hetzner_firewalls (name, labels, rules, created_at) VALUES ($1, $2, $3, $4) RETURNING *`,
      [input.name, input.labels, JSON.stringify(input.rules ?? []), new Date()],
    );
    const row = rows[0]!;
    const actions = await startFirewallActions(client, settings, row, response, {
      rulesSet: (input.rules ?? []).length > 0,
      applyTo: input.apply_to ?? [],
    });
    return { firewall: (await toFirewalls(client, [row]))[0], actions };
  });
}

async function updateFirewall(
  pool: pg.Pool,
  id: number,
  update: z.infer<typeof updateInput>,
): Promise<FirewallRow> {
  const { rows } = await pool.query<FirewallRow>(
    `UPDATE hetzner_firewalls SET name = coalesce($2, name), labels = coalesce($3, labels)
     WHERE id = $1 RETURNING *`,
    [id, update.name, update.labels],
  );
  return rows[0] ?? readFirewall(pool, id);
}

async function deleteFirewall(pool: pg.Pool, id: number): Promise<void> {
  await inTransaction(pool, async (client) => {
    await readFirewall(client, id, true);
    const targets = await client.query(
      'SELECT 1 FROM hetzner_firewall_targets WHERE firewall_id = $1 LIMIT 1',
      [id],
    );
    if (targets.rowCount !== 0)
      throw new HetznerError(422, 'resource_in_use', `firewall with ID '${id}' is still in use`);
    await client.query('DELETE FROM hetzner_firewalls WHERE id = $1', [id]);
  });
}
