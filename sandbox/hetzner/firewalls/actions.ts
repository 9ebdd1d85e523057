import type express from 'express';
import type pg from 'pg';
import { z } from 'zod';
import { inTransaction, type Queryable } from '../../database.ts';
import { orderedActionError } from '../../faults.ts';
import type { SandboxSettings } from '../../settings.ts';
import { type ActionResource, insertActions, type NewAction, toAction } from '../actions/store.ts';
import { HetznerError } from '../errors.ts';
import { parseId, parseInput } from '../input.ts';
import { parseLabelSelector } from '../label-selector.ts';
import { rulesInput } from './rules.ts';
import {
  addTarget,
  type FirewallRow,
  readFirewall,
  removeTarget,
  type Target,
  targetInput,
} from './store.ts';

const applyInput = z.strictObject({ apply_to: z.array(targetInput).min(1) });
const removeInput = z.strictObject({ remove_from: z.array(targetInput).min(1) });
const setRulesInput = z.strictObject({ rules: rulesInput });

/** `/firewalls/{id}/actions/…`: each call answers the actions that it started. */
export function addFirewallActions(
  router: express.Router,
  { pool, settings }: { pool: pg.Pool; settings: SandboxSettings },
): void {
  router.post('/firewalls/:id/actions/set_rules', async (request, response) => {
    const { rules } = parseInput(setRulesInput, request.body);
    const actions = await withFirewall(pool, request.params.id, async (client, row) => {
      await client.query('UPDATE hetzner_firewalls SET rules = $2 WHERE id = $1', [
        row.id,
        JSON.stringify(rules),
      ]);
      return startFirewallActions(client, settings, row, response, { rulesSet: true });
    });
    response.status(201).json({ actions });
  });
  router.post('/firewalls/:id/actions/apply_to_resources', async (request, response) => {
    const applyTo = parseInput(applyInput, request.body).apply_to;
    const actions = await withFirewall(pool, request.params.id, (client, row) =>
      startFirewallActions(client, settings, row, response, { applyTo }),
    );
    response.status(201).json({ actions });
  });
  router.post('/firewalls/:id/actions/remove_from_resources', async (request, response) => {
    const removeFrom = parseInput(removeInput, request.body).remove_from;
    const actions = await withFirewall(pool, request.params.id, (client, row) =>
      startFirewallActions(client, settings, row, response, { removeFrom }),
    );
    response.status(201).json({ actions });
  });
}

type Changes = { rulesSet?: boolean; applyTo?: Target[]; removeFrom?: Target[] };

/** Changes what a firewall is applied to, and starts the actions that stand for that, and for changed rules. */
export async function startFirewallActions(
  client: Queryable,
  settings: SandboxSettings,
  firewall: FirewallRow,
  response: express.Response,
  changes: Changes,
) {
  const startedAt = new Date();
  const finishesAt = new Date(startedAt.getTime() + settings.serverActionMs);
  const self: ActionResource = { id: firewall.id, type: 'firewall' };
  const error = orderedActionError(response);
  const actions: NewAction[] = [];
  const start = (command: string, target?: Target) => {
    const servers: ActionResource[] =
      target?.type === 'server' ? [{ id: target.server.id, type: 'server' }] : [];
    actions.push({ command, startedAt, finishesAt, error, resources: [self, ...servers] });
  };
  if (changes.rulesSet) start('set_firewall_rules');
  for (const target of changes.applyTo ?? []) {
    await checkTarget(client, target);
    if (error === undefined) await apply(client, firewall, target);
    start('apply_firewall', target);
  }
  for (const target of changes.removeFrom ?? []) {
    if (error === undefined) await remove(client, firewall, target);
    start('remove_firewall', target);
  }
  const rows = await insertActions(client, actions);
  return rows.map((row) => toAction(row, startedAt));
}

async function withFirewall<T>(
  pool: pg.Pool,
  id: string,
  work: (client: pg.PoolClient, row: FirewallRow) => Promise<T>,
): Promise<T> {
  return inTransaction(pool, async (client) =>
    work(client, await readFirewall(client, parseId(id, 'firewall'), true)),
  );
}

async function checkTarget(client: Queryable, target: Target): Promise<void> {
  if (target.type === 'label_selector') {
    parseLabelSelector(target.label_selector.selector);
    return;
  }
  const { rowCount } = await client.query(
    'SELECT 1 FROM hetzner_servers WHERE id = $1 AND deleted_at IS NULL FOR SHARE',
    [target.server.id],
  );
  if (rowCount === 0)
    throw new HetznerError(404, 'firewall_resource_not_found', `server ${target.server.id} not found`);
}

async function apply(client: Queryable, firewall: FirewallRow, target: Target): Promise<void> {
  if (await addTarget(client, firewall.id, target)) return;
  throw new HetznerError(422, 'firewall_already_applied', 'firewall is already applied to this resource');
}

async function remove(client: Queryable, firewall: FirewallRow, target: Target): Promise<void> {
  if (await removeTarget(client, firewall.id, target)) return;
  throw new HetznerError(422, 'firewall_already_removed', 'firewall is not applied to this resource');
}
