import { z } from 'zod';
import type { Queryable } from '../../database.ts';
import { notFound } from '../errors.ts';
import { matchesSelector, parseLabelSelector, selectorConditions } from '../label-selector.ts';
import type { Labels } from '../labels.ts';
import { createConditions } from '../listing.ts';
import type { FirewallRule } from './rules.ts';

export type FirewallRow = {
  id: number;
  name: string;
  labels: Labels;
  rules: FirewallRule[];
  created_at: Date;
};

type TargetRow = { firewall_id: number; server_id: number | null; selector: string | null };

/** What a firewall is applied to: one server, or whatever servers a label selector finds. */
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

/** Reads a firewall; in a transaction, `lock` keeps others from changing or deleting it meanwhile. */
export async function readFirewall(db: Queryable, id: number, lock = false): Promise<FirewallRow> {
  const { rows } = await db.query<FirewallRow>(
    `SELECT * FROM hetzner_firewalls WHERE id = $1 ${lock ? 'FOR UPDATE' : ''}`,
    [id],
  );
  if (rows[0] === undefined) throw notFound('firewall');
  return rows[0];
}

/** How the API shows firewalls, with what they are applied to. */
export async function toFirewalls(db: Queryable, firewalls: readonly FirewallRow[]) {
  const { rows } = await db.query<TargetRow>(
    `SELECT * FROM hetzner_firewall_targets WHERE firewall_id = ANY($1)
     ORDER BY server_id NULLS LAST, selector`,
    [firewalls.map((firewall) => firewall.id)],
  );
  const shown = [];
  for (const { created_at, ...firewall } of firewalls) {
    const targets = rows.filter((target) => target.firewall_id === firewall.id);
    const applied_to = [];
    for (const target of targets) applied_to.push(await toAppliedTo(db, target));
    shown.push({ ...firewall, created: created_at.toISOString(), applied_to });
  }
  return shown;
}

async function toAppliedTo(db: Queryable, { server_id, selector }: TargetRow) {
  if (selector === null) return { type: 'server', server: { id: server_id } };
  const conditions = createConditions('deleted_at IS NULL');
  conditions.clauses.push(...selectorConditions(parseLabelSelector(selector), 'labels', conditions.bind));
  const { rows } = await db.query<{ id: number }>(
    `SELECT id FROM hetzner_servers WHERE ${conditions.clauses.join(' AND ')} ORDER BY id`,
    conditions.values,
  );
  return {
    type: 'label_selector',
    label_selector: { selector },
    applied_to_resources: rows.map(({ id }) => ({ type: 'server', server: { id } })),
  };
}

/** The firewalls of each server, applied to it directly or by its labels. */
export async function firewallsOfServers(
  db: Queryable,
  servers: readonly { id: number; labels: Labels }[],
): Promise<Map<number, { id: number; status: 'applied' }[]>> {
  const { rows } = await db.query<TargetRow>(
    `SELECT * FROM hetzner_firewall_targets WHERE server_id = ANY($1) OR selector IS NOT NULL
     ORDER BY firewall_id`,
    [servers.map((server) => server.id)],
  );
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

/** Adds a target; false where the firewall had it already. */
export async function addTarget(db: Queryable, firewallId: number, target: Target): Promise<boolean> {
  const { rowCount } = await db.query(
    `INSERT INTO hetzner_firewall_targets (firewall_id, server_id, selector) VALUES ($1, $2, $3)
     ON CONFLICT ON CONSTRAINT hetzner_firewall_targets_once DO NOTHING`,
    [firewallId, ...targetColumns(target)],
  );
  return rowCount === 1;
}

/** Takes a target away; false where the firewall did not have it. */
export async function removeTarget(db: Queryable, firewallId: number, target: Target): Promise<boolean> {
  const { rowCount } = await db.query(
    `DELETE FROM hetzner_firewall_targets
     WHERE firewall_id = $1 AND server_id IS NOT DISTINCT FROM $2 AND selector IS NOT DISTINCT FROM $3`,
    [firewallId, ...targetColumns(target)],
  );
  return rowCount === 1;
}

function targetColumns(target: Target): [number | null, string | null] {
  return target.type === 'server' ? [target.server.id, null] : [null, target.label_selector.selector];
}
