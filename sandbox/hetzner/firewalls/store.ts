import type { Selectable } from 'kysely';
import { z } from 'zod';
import type { SandboxDatabase, SandboxTransaction } from '../../database.ts';
import { notFound } from '../errors.ts';
import { matchesSelector, parseLabelSelector, selectorConditions } from '../label-selector.ts';
import type { Labels } from '../labels.ts';
import type { FirewallTable, FirewallTargetTable } from '../tables.ts';

export type FirewallRow = Selectable<FirewallTable>;
type TargetRow = Selectable<FirewallTargetTable>;

/** A target of a firewall: one server, or all servers that a label selector matches. */
export const targetInput = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('server'),
    server: z.strictObject({ id: z.number().int().positive() }),
  }),
  z.strictObject({
    type: z.literal('label_selector'),
    label_selector: z.strictObject({ selector: z.string().min(1) }),
  }),
]);
export type Target = z.infer<typeof targetInput>;

export async function readFirewall(database: SandboxDatabase, id: number): Promise<FirewallRow> {
  const row = await selectFirewall(database, id).executeTakeFirst();
  if (row === undefined) throw notFound('firewall');
  return row;
}

/** Reads a firewall and keeps others from changing or deleting it until the transaction ends. */
export async function lockFirewall(trx: SandboxTransaction, id: number): Promise<FirewallRow> {
  const row = await selectFirewall(trx, id).forUpdate().executeTakeFirst();
  if (row === undefined) throw notFound('firewall');
  return row;
}

function selectFirewall(database: SandboxDatabase, id: number) {
  return database.selectFrom('hetzner_firewalls').selectAll().where('id', '=', id);
}

/** Returns firewalls as the API shows them, with their targets. */
export async function toFirewalls(database: SandboxDatabase, firewalls: readonly FirewallRow[]) {
  if (firewalls.length === 0) return [];
  const ids = firewalls.map((firewall) => firewall.id);
  const rows = await database
    .selectFrom('hetzner_firewall_targets')
    .selectAll()
    .where('firewall_id', 'in', ids)
    .orderBy('server_id', (order) => order.asc().nullsLast())
    .orderBy('selector')
    .execute();
  const shown = [];
  for (const { created_at, project: _, ...firewall } of firewalls) {
    const targets = rows.filter((target) => target.firewall_id === firewall.id);
    const applied_to = [];
    for (const target of targets) applied_to.push(await toAppliedTo(database, target));
    shown.push({ ...firewall, created: created_at.toISOString(), applied_to });
  }
  return shown;
}

async function toAppliedTo(database: SandboxDatabase, { server_id, selector }: TargetRow) {
  if (selector === null) return { type: 'server', server: { id: server_id } };
  const rows = await database
    .selectFrom('hetzner_servers')
    .select('id')
    .where('deleted_at', 'is', null)
    .where((eb) => eb.and(selectorConditions(parseLabelSelector(selector))))
    .orderBy('id')
    .execute();
  return {
    type: 'label_selector',
    label_selector: { selector },
    applied_to_resources: rows.map(({ id }) => ({ type: 'server', server: { id } })),
  };
}

/** Returns the firewalls of each server, applied to it directly or by its labels. */
export async function firewallsByServer(
  database: SandboxDatabase,
  servers: readonly { id: number; labels: Labels }[],
): Promise<Map<number, { id: number; status: 'applied' }[]>> {
  if (servers.length === 0) return new Map();
  const ids = servers.map((server) => server.id);
  const rows = await database
    .selectFrom('hetzner_firewall_targets')
    .selectAll()
    .where((eb) => eb.or([eb('server_id', 'in', ids), eb('selector', 'is not', null)]))
    .orderBy('firewall_id')
    .execute();
  const targets = rows.map((row) => ({ ...row, requirements: parseLabelSelector(row.selector ?? '') }));
  return new Map(
    servers.map((server) => {
      const applied = targets.filter((target) =>
        target.selector === null
          ? target.server_id === server.id
          : matchesSelector(target.requirements, server.labels),
      );
      const ids = new Set(applied.map((target) => target.firewall_id));
      return [server.id, [...ids].map((id) => ({ id, status: 'applied' as const }))];
    }),
  );
}

/** Adds a target. @returns false if the firewall already had it. */
export async function addTarget(
  trx: SandboxTransaction,
  firewallId: number,
  target: Target,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('hetzner_firewall_targets')
    .values({ firewall_id: firewallId, ...targetColumns(target) })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirstOrThrow();
  return numInsertedOrUpdatedRows === 1n;
}

/** Removes a target. @returns false if the firewall did not have it. */
export async function removeTarget(
  trx: SandboxTransaction,
  firewallId: number,
  target: Target,
): Promise<boolean> {
  const { server_id, selector } = targetColumns(target);
  const { numDeletedRows } = await trx
    .deleteFrom('hetzner_firewall_targets')
    .where('firewall_id', '=', firewallId)
    .where('server_id', 'is not distinct from', server_id)
    .where('selector', 'is not distinct from', selector)
    .executeTakeFirst();
  return numDeletedRows === 1n;
}

function targetColumns(target: Target): Pick<TargetRow, 'server_id' | 'selector'> {
  return target.type === 'server'
    ? { server_id: target.server.id, selector: null }
    : { server_id: null, selector: target.label_selector.selector };
}
