import type { SandboxDatabase } from '../../database.ts';
import type { FirewallRule } from '../../hetzner/firewalls/rules.ts';
import { firewallsByServer } from '../../hetzner/firewalls/store.ts';
import type { Labels } from '../../hetzner/labels.ts';
import type { Phase } from '../../hetzner/servers/phases.ts';
import { isVisible } from '../../hetzner/servers/store.ts';

/** The desired state of a server's machine. */
export interface DesiredServer {
  id: number;
  name: string;
  phases: Phase[];
  deleted: boolean;
  /** Counts the installations of its disk. */
  generation: number;
  /** Counts the requests to start it. */
  boot: number;
  /** Whether it stops with a shutdown; otherwise with a power cut. */
  stopsSoftly: boolean;
  ipv4: string | undefined;
  ipv6: string | undefined;
  /** The image whose copy its disk starts from; undefined for the base. */
  diskImage: number | undefined;
  /** The image that waits for a copy of its disk. */
  wantedImage: number | undefined;
  /** The rules of all its firewalls; undefined if it has none: then everything passes. */
  rules: FirewallRule[] | undefined;
}

/** Reads all servers, including those being deleted, with the rules of their firewalls. */
export async function readServers(database: SandboxDatabase): Promise<DesiredServer[]> {
  const rows = await database
    .selectFrom('hetzner_servers as s')
    .leftJoin('hetzner_primary_ips as v4', (join) =>
      join.onRef('v4.server_id', '=', 's.id').on('v4.type', '=', 'ipv4'),
    )
    .leftJoin('hetzner_primary_ips as v6', (join) =>
      join.onRef('v6.server_id', '=', 's.id').on('v6.type', '=', 'ipv6'),
    )
    .leftJoin('hetzner_images as origin', (join) =>
      join.onRef('origin.id', '=', 's.image_id').on('origin.machine_disk', 'is not', null),
    )
    // At most one: the server is locked until it has been copied.
    .leftJoin('hetzner_images as wanted', (join) =>
      join.onRef('wanted.server_id', '=', 's.id').on('wanted.machine_disk', '=', 'wanted'),
    )
    .select(['s.id', 's.name', 's.labels', 's.phases', 's.generation', 's.boots', 's.stops_softly'])
    .select((eb) => eb('s.deleted_at', 'is not', null).as('deleted'))
    .select(['v4.ip as ipv4', 'v6.ip as ipv6', 'origin.id as diskImage', 'wanted.id as wantedImage'])
    .where(isVisible(new Date(), 's.deleted_at'))
    .orderBy('s.id')
    .execute();
  const rules = await readRules(database, rows);
  return rows.map(({ labels, boots, stops_softly, deleted, ipv4, ipv6, diskImage, wantedImage, ...row }) => ({
    ...row,
    diskImage: diskImage ?? undefined,
    wantedImage: wantedImage ?? undefined,
    deleted: Boolean(deleted),
    boot: boots,
    stopsSoftly: stops_softly,
    ipv4: ipv4 ?? undefined,
    // The server has the first address of its network.
    ipv6: ipv6?.replace(/::\/64$/, '::1'),
    rules: rules.get(row.id),
  }));
}

async function readRules(
  database: SandboxDatabase,
  servers: readonly { id: number; labels: Labels }[],
): Promise<Map<number, FirewallRule[]>> {
  const applied = await firewallsByServer(database, servers);
  const firewalls = await database.selectFrom('hetzner_firewalls').select(['id', 'rules']).execute();
  const byId = new Map(firewalls.map((firewall) => [firewall.id, firewall.rules]));
  return new Map(
    [...applied]
      .filter(([, own]) => own.length > 0)
      .map(([id, own]) => [id, own.flatMap((firewall) => byId.get(firewall.id) ?? [])]),
  );
}

/** Records that a machine has switched itself off, unless its server was started or reinstalled meanwhile. */
export async function recordOff(
  database: SandboxDatabase,
  server: Pick<DesiredServer, 'id' | 'generation' | 'boot'>,
): Promise<void> {
  await database
    .updateTable('hetzner_servers')
    .set({ phases: JSON.stringify([{ status: 'off', fromMs: Date.now() }]) })
    .where('id', '=', server.id)
    .where('generation', '=', server.generation)
    .where('boots', '=', server.boot)
    .where('deleted_at', 'is', null)
    .execute();
}
