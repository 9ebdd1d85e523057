import type pg from 'pg';
import type { Queryable } from '../../database.ts';
import type { Image } from '../catalogue/images.ts';
import { locationById } from '../catalogue/locations.ts';
import { includedTraffic, serverTypeById } from '../catalogue/server-types.ts';
import { HetznerError, notFound } from '../errors.ts';
import { firewallsOfServers } from '../firewalls/store.ts';
import { readImages } from '../images/store.ts';
import type { Labels } from '../labels.ts';
import { type Phase, type ServerStatus, statusAt } from './phases.ts';

/** A server as it is stored; its user data is read by nothing but the boot of its machine. */
export type ServerRow = {
  id: number;
  name: string;
  labels: Labels;
  server_type_id: number;
  image_id: number;
  location_id: number;
  primary_disk_gb: number;
  phases: Phase[];
  locked_until: Date;
  protected: boolean;
  rescue_enabled: boolean;
  backup_window: string | null;
  generation: number;
  created_at: Date;
  deleted_at: Date | null;
};

export type PrimaryIpRow = {
  id: number;
  server_id: number;
  type: 'ipv4' | 'ipv6';
  ip: string;
  dns_ptr: { ip: string; dns_ptr: string }[];
  created_at: Date;
};

/** A deleted server stays visible while its deletion runs. `now` is the placeholder of a time. */
export function visibleSql(now: string): string {
  return `(deleted_at IS NULL OR deleted_at > ${now})`;
}

export async function readServer(db: Queryable, id: number, now: Date): Promise<ServerRow> {
  const { rows } = await db.query<ServerRow>(
    `SELECT * FROM hetzner_servers WHERE id = $1 AND ${visibleSql('$2')}`,
    [id, now],
  );
  if (rows[0] === undefined) throw notFound('server');
  return rows[0];
}

/** Reads a server for a change of it, which keeps others from changing it; 423 while one of its actions runs. */
export async function lockServer(client: pg.PoolClient, id: number): Promise<ServerRow> {
  const { rows } = await client.query<ServerRow>('SELECT * FROM hetzner_servers WHERE id = $1 FOR UPDATE', [
    id,
  ]);
  // The clock is read when the row is ours: a call that waited for another's change must see it as running.
  const now = new Date();
  const row = rows[0];
  if (row === undefined || (row.deleted_at !== null && row.deleted_at <= now)) throw notFound('server');
  if (row.locked_until > now) throw new HetznerError(423, 'locked', 'server is locked');
  return row;
}

export function serverStatus(row: ServerRow, now: Date): ServerStatus {
  return statusAt(row.phases, now.getTime());
}

/** How the API shows servers. */
export async function toServers(db: Queryable, rows: readonly ServerRow[], now: Date) {
  const ips = await db.query<PrimaryIpRow>('SELECT * FROM hetzner_primary_ips WHERE server_id = ANY($1)', [
    rows.map((row) => row.id),
  ]);
  const firewalls = await firewallsOfServers(db, rows);
  const images = await readImages(db, [...new Set(rows.map((row) => row.image_id))], now);
  return rows.map((row) => {
    const own = ips.rows.filter((ip) => ip.server_id === row.id);
    const image = images.get(row.image_id) ?? null;
    return { ...toServer(row, image, now), public_net: toPublicNet(own, firewalls.get(row.id) ?? []) };
  });
}

function toServer(row: ServerRow, image: Image | null, now: Date) {
  const serverType = serverTypeById(row.server_type_id);
  const location = locationById(row.location_id);
  return {
    id: row.id,
    name: row.name,
    status: serverStatus(row, now),
    created: row.created_at.toISOString(),
    private_net: [],
    server_type: serverType,
    location,
    image,
    iso: null,
    rescue_enabled: row.rescue_enabled,
    locked: row.locked_until > now,
    backup_window: row.backup_window,
    outgoing_traffic: 0,
    ingoing_traffic: 0,
    included_traffic: includedTraffic(serverType, location),
    protection: { delete: row.protected, rebuild: row.protected },
    labels: row.labels,
    volumes: [],
    load_balancers: [],
    primary_disk_size: row.primary_disk_gb,
    placement_group: null,
  };
}

function toPublicNet(ips: readonly PrimaryIpRow[], firewalls: { id: number; status: string }[]) {
  const ipv4 = ips.find((ip) => ip.type === 'ipv4');
  const ipv6 = ips.find((ip) => ip.type === 'ipv6');
  return {
    ipv4: ipv4 ? { id: ipv4.id, ip: ipv4.ip, blocked: false, dns_ptr: ipv4.dns_ptr[0]?.dns_ptr ?? '' } : null,
    ipv6: ipv6 ? { id: ipv6.id, ip: ipv6.ip, blocked: false, dns_ptr: ipv6.dns_ptr } : null,
    floating_ips: [],
    firewalls,
  };
}
