import type { Selectable } from 'kysely';
import type { SandboxDatabase } from '../../database.ts';
import type { ServerTable } from '../../hetzner/tables.ts';
import type { ReadMetadata } from './internet.ts';

type ServerRow = Pick<Selectable<ServerTable>, 'id' | 'name' | 'user_data' | 'ssh_public_keys'>;

/**
 * Returns the answers of the metadata address. It identifies servers by their public address, and serves
 * Hetzner's own paths and the same data for cloud-init's NoCloud source
 * (https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html).
 */
export function createMetadata(database: SandboxDatabase): ReadMetadata {
  return async (address, path) => {
    const server = await database
      .selectFrom('hetzner_servers as s')
      .innerJoin('hetzner_primary_ips as ip', 'ip.server_id', 's.id')
      .select(['s.id', 's.name', 's.user_data', 's.ssh_public_keys'])
      .where('ip.type', '=', 'ipv4')
      .where('ip.ip', '=', address)
      .where('s.deleted_at', 'is', null)
      .orderBy('s.id', 'desc')
      .limit(1)
      .executeTakeFirst();
    const body = server && answers(server, address)[path.replace(/\?.*$/, '')];
    return body === undefined ? { status: 404, body: 'not found' } : { status: 200, body };
  };
}

function answers(server: ServerRow, address: string): Record<string, string> {
  const userData = server.user_data ?? '';
  const hetzner = {
    hostname: server.name,
    'instance-id': server.id,
    'public-ipv4': address,
    'public-keys': server.ssh_public_keys,
  };
  return {
    '/hetzner/v1/userdata': userData,
    // JSON is YAML.
    '/hetzner/v1/metadata': JSON.stringify(hetzner),
    '/hetzner/v1/metadata/hostname': server.name,
    '/hetzner/v1/metadata/instance-id': String(server.id),
    '/hetzner/v1/metadata/public-ipv4': address,
    '/nocloud/user-data': userData,
    '/nocloud/vendor-data': '',
    '/nocloud/meta-data': JSON.stringify({
      'instance-id': `server-${server.id}`,
      'local-hostname': server.name,
      'public-keys': server.ssh_public_keys,
    }),
  };
}
