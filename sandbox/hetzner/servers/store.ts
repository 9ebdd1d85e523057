import { type Expression, type Selectable, type SqlBool, sql } from 'kysely';
import type { SandboxDatabase, SandboxTransaction } from '../../database.ts';
import type { Image } from '../catalogue/images.ts';
import { locationById } from '../catalogue/locations.ts';
import { includedTraffic, serverTypeById } from '../catalogue/server-types.ts';
import { HetznerError, notFound } from '../errors.ts';
import { firewallsByServer } from '../firewalls/store.ts';
import { readImages } from '../images/store.ts';
import type { PrimaryIpTable, ServerTable } from '../tables.ts';
import { type ServerStatus, statusAt } from './phases.ts';

export type ServerRow = Selectable<ServerTable>;
export type PrimaryIpRow = Selectable<PrimaryIpTable>;

/** A deleted server stays visible until its delete action has ended. */
export function isVisible(now: Date, deletedAt = 'deleted_at'): Expression<SqlBool> {
  const column = sql.ref(deletedAt);
  return sql`(${column} is null or ${column} > ${now})`;
}

export async function readServer(database: SandboxDatabase, id: number, now: Date): Promise<ServerRow> {
  const row = await database
    .selectFrom('hetzner_servers')
    .selectAll()
    .where('id', '=', id)
    .where(isVisible(now))
    .executeTakeFirst();
  if (row === undefined) throw notFound('server');
  return row;
}

/** Reads and locks a server for a change. @throws HetznerError 423 while one of its actions runs. */
export async function lockServer(trx: SandboxTransaction, id: number): Promise<ServerRow> {
  const row = await trx
    .selectFrom('hetzner_servers')
    .selectAll()
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst();
  // Reads the clock after the lock: a call that waited for another's action must see it as running.
  const now = new Date();
  if (row === undefined || (row.deleted_at !== null && row.deleted_at <= now)) throw notFound('server');
  if (row.locked_until > now) throw new HetznerError(423, 'locked', 'server is locked');
  return row;
}

export function serverStatus(row: ServerRow, now: Date): ServerStatus {
  return statusAt(row.phases, now.getTime());
}

/** Returns servers as the API shows them. */
export async function toServers(database: SandboxDatabase, rows: readonly ServerRow[], now: Date) {
  if (rows.length === 0) return [];
  const ids = rows.map((row) => row.id);
  const ips = await database
    .selectFrom('hetzner_primary_ips')
    .selectAll()
    .where('server_id', 'in', ids)
    .execute();
  const firewalls = await firewallsByServer(database, rows);
  const images = await readImages(database, [...new Set(rows.map((row) => row.image_id))], now);
  return rows.map((row) => {
    const own = ips.filter((ip) => ip.server_id === row.id);
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
