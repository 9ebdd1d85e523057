import type { Queryable } from '../../database.ts';
import type { FirewallRule } from '../../hetzner/firewalls/rules.ts';
import { firewallsOfServers } from '../../hetzner/firewalls/store.ts';
import type { Labels } from '../../hetzner/labels.ts';
import type { Phase } from '../../hetzner/servers/phases.ts';

/** What the sandbox has sold, as far as it matters to the machine behind it. */
export type SoldServer = {
  id: number;
  name: string;
  phases: Phase[];
  deleted: boolean;
  /** Counts the installations of its disk. */
  generation: number;
  /** Counts how often it was asked to start. */
  boot: number;
  /** Whether the system is asked to stop, or its power is cut, when it is to stop. */
  stopsSoftly: boolean;
  ipv4: string | undefined;
  ipv6: string | undefined;
  /** The rules of all its firewalls; undefined where it has none, which lets everything pass. */
  rules: FirewallRule[] | undefined;
};

type Row = {
  id: number;
  name: string;
  labels: Labels;
  phases: Phase[];
  deleted: boolean;
  generation: number;
  boots: number;
  stops_softly: boolean;
  ipv4: string | null;
  ipv6: string | null;
};

/** All servers that are not deleted, or are being deleted, with the rules of their firewalls. */
export async function readServers(db: Queryable): Promise<SoldServer[]> {
  const { rows } = await db.query<Row>(
    `SELECT s.id, name, labels, phases, deleted_at IS NOT NULL AS deleted, generation, boots, stops_softly,
       v4.ip AS ipv4, v6.ip AS ipv6
     FROM hetzner_servers s
     LEFT JOIN hetzner_primary_ips v4 ON v4.server_id = s.id AND v4.type = 'ipv4'
     LEFT JOIN hetzner_primary_ips v6 ON v6.server_id = s.id AND v6.type = 'ipv6'
     WHERE deleted_at IS NULL OR deleted_at > now() ORDER BY s.id`,
  );
  const rules = await readRules(db, rows);
  return rows.map(({ labels, boots, stops_softly, ipv4, ipv6, ...row }) => ({
    ...row,
    boot: boots,
    stopsSoftly: stops_softly,
    ipv4: ipv4 ?? undefined,
    // The first address of its network is the server's.
    ipv6: ipv6?.replace(/::\/64$/, '::1'),
    rules: rules.get(row.id),
  }));
}

async function readRules(db: Queryable, servers: readonly Row[]): Promise<Map<number, FirewallRule[]>> {
  const applied = await firewallsOfServers(db, servers);
  const { rows } = await db.query<{ id: number; rules: FirewallRule[] }>(
    'SELECT id, rules FROM hetzner_firewalls',
  );
  const byId = new Map(rows.map((row) => [row.id, row.rules]));
  return new Map(
    [...applied]
      .filter(([, firewalls]) => firewalls.length > 0)
      .map(([id, firewalls]) => [id, firewalls.flatMap((firewall) => byId.get(firewall.id) ?? [])]),
  );
}

/** A machine switched itself off: so its server is off, unless it was asked for something else meanwhile. */
export async function noteOff(
  db: Queryable,
  server: Pick<SoldServer, 'id' | 'generation' | 'boot'>,
): Promise<void> {
  await db.query(
    `UPDATE hetzner_servers SET phases = $4 WHERE id = $1 AND generation = $2 AND boots = $3 AND deleted_at IS NULL`,
    [server.id, server.generation, server.boot, JSON.stringify([{ status: 'off', fromMs: Date.now() }])],
  );
}
