import type express from 'express';
import { z } from 'zod';
import type { SandboxDatabase, SandboxTransaction } from '../../database.ts';
import { orderedActionError } from '../../faults.ts';
import type { SandboxSettings } from '../../settings.ts';
import { insertActions, type NewAction, toAction } from '../actions/store.ts';
import { HetznerError } from '../errors.ts';
import { parseId, parseInput } from '../input.ts';
import { parseLabelSelector } from '../label-selector.ts';
import type { ActionResource } from '../tables.ts';
import { rulesInput } from './rules.ts';
import {
  addTarget,
  type FirewallRow,
  lockFirewall,
  removeTarget,
  type Target,
  targetInput,
} from './store.ts';

const applyInput = z.strictObject({ apply_to: z.array(targetInput).min(1) });
const removeInput = z.strictObject({ remove_from: z.array(targetInput).min(1) });
const setRulesInput = z.strictObject({ rules: rulesInput });

/** Serves `/firewalls/{id}/actions/…`. Each call returns the actions that it started. */
export function addFirewallActions(
  router: express.Router,
  { database, settings }: { database: SandboxDatabase; settings: SandboxSettings },
): void {
  router.post('/firewalls/:id/actions/set_rules', async (request, response) => {
    const { rules } = parseInput(setRulesInput, request.body);
    const actions = await withFirewall(database, request.params.id, async (trx, row) => {
      await trx
        .updateTable('hetzner_firewalls')
        .set({ rules: JSON.stringify(rules) })
        .where('id', '=', row.id)
        .execute();
      return startFirewallActions(trx, settings, row, response, { rulesSet: true });
    });
    response.status(201).json({ actions });
  });
  router.post('/firewalls/:id/actions/apply_to_resources', async (request, response) => {
    const applyTo = parseInput(applyInput, request.body).apply_to;
    const actions = await withFirewall(database, request.params.id, (trx, row) =>
      startFirewallActions(trx, settings, row, response, { applyTo }),
    );
    response.status(201).json({ actions });
  });
  router.post('/firewalls/:id/actions/remove_from_resources', async (request, response) => {
    const removeFrom = parseInput(removeInput, request.body).remove_from;
    const actions = await withFirewall(database, request.params.id, (trx, row) =>
      startFirewallActions(trx, settings, row, response, { removeFrom }),
    );
    response.status(201).json({ actions });
  });
}

interface Changes {
  rulesSet?: boolean;
  applyTo?: Target[];
  removeFrom?: Target[];
}

/** Changes the targets of a firewall. Starts one action for each change, and one for changed rules. */
export async function startFirewallActions(
  trx: SandboxTransaction,
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
    await checkTarget(trx, target);
    if (error === undefined) await apply(trx, firewall, target);
    start('apply_firewall', target);
  }
  for (const target of changes.removeFrom ?? []) {
    if (error === undefined) await remove(trx, firewall, target);
    start('remove_firewall', target);
  }
  const rows = await insertActions(trx, actions);
  return rows.map((row) => toAction(row, startedAt));
}

async function withFirewall<T>(
  database: SandboxDatabase,
  id: string,
  work: (trx: SandboxTransaction, row: FirewallRow) => Promise<T>,
): Promise<T> {
  return database
    .transaction()
    .execute(async (trx) => work(trx, await lockFirewall(trx, parseId(id, 'firewall'))));
}

async function checkTarget(trx: SandboxTransaction, target: Target): Promise<void> {
  if (target.type === 'label_selector') {
    parseLabelSelector(target.label_selector.selector);
    return;
  }
  const server = await trx
    .selectFrom('hetzner_servers')
    .select('id')
    .where('id', '=', target.server.id)
    .where('deleted_at', 'is', null)
    .forShare()
    .executeTakeFirst();
  if (server === undefined)
    throw new HetznerError(404, 'firewall_resource_not_found', `server ${target.server.id} not found`);
}

async function apply(trx: SandboxTransaction, firewall: FirewallRow, target: Target): Promise<void> {
  if (await addTarget(trx, firewall.id, target)) return;
  throw new HetznerError(422, 'firewall_already_applied', 'firewall is already applied to this resource');
}

async function remove(trx: SandboxTransaction, firewall: FirewallRow, target: Target): Promise<void> {
  if (await removeTarget(trx, firewall.id, target)) return;
  throw new HetznerError(422, 'firewall_already_removed', 'firewall is not applied to this resource');
}
