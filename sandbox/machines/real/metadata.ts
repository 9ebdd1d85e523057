import type { Queryable } from '../../database.ts';
import type { ReadMetadata } from './internet.ts';

type Row = {
  id: number;
  name: string;
  user_data: string | null;
  ssh_public_keys: string[];
};

/**
 * What the metadata address says to a server, known by its public address: Hetzner's own paths, and the same for
 * cloud-init's NoCloud source (https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html).
 */
export function createMetadata(db: Queryable): ReadMetadata {
  return async (address, path) => {
    const { rows } = await db.query<Row>(
      `SELECT s.id, s.name, s.user_data, s.ssh_public_keys FROM hetzner_servers s
       JOIN hetzner_primary_ips ip ON ip.server_id = s.id AND ip.type = 'ipv4'
       WHERE ip.ip = $1 AND s.deleted_at IS NULL ORDER BY s.id DESC LIMIT 1`,
      [address],
    );
    const body = rows[0] && answers(rows[0], address)[path.replace(/\?.*$/, '')];
    return body === undefined ? { status: 404, body: 'not found' } : { status: 200, body };
  };
}

function answers(server: Row, address: string): Record<string, string> {
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
