import { type DeviceRow, nameOf } from './devices.ts';
import { timestamp } from './keys.ts';

const clientVersion = '1.98.2-t5a4db0c1e-gsandbox';

/**
 * A device as the API shows it. `all` adds what costs Tailscale something to gather.
 * There is no `lastSeen`, as there is none for any device that is connected right now.
 */
export function toDevice(row: DeviceRow, fields: 'default' | 'all') {
  return {
    addresses: [row.ipv4, row.ipv6],
    id: row.id,
    nodeId: row.node_id,
    user: row.registered_by,
    name: nameOf(row),
    hostname: row.hostname,
    clientVersion,
    updateAvailable: false,
    os: 'linux',
    created: timestamp(row.created_at),
    connectedToControl: true,
    keyExpiryDisabled: row.key_expiry_disabled,
    expires: timestamp(row.expires_at),
    authorized: row.authorized,
    isExternal: false,
    isEphemeral: row.ephemeral,
    machineKey: row.machine_key,
    nodeKey: row.node_key,
    blocksIncomingConnections: false,
    ...(row.tags.length > 0 && { tags: row.tags }),
    tailnetLockError: '',
    tailnetLockKey: '',
    sshEnabled: false,
    ...(fields === 'all' && allFields),
  };
}

const allFields = {
  enabledRoutes: [],
  advertisedRoutes: [],
  distro: { name: 'debian', version: '12', codeName: 'bookworm' },
  clientConnectivity: {
    endpoints: [],
    mappingVariesByDestIP: false,
    latency: {},
    clientSupports: { hairPinning: null, ipv6: true, pcp: false, pmp: false, udp: true, upnp: false },
  },
};

/** Whether a device has all the `field=value` pairs of a query: exactly that value, or it among a list. */
export function matchesFilters(device: object, filters: [field: string, values: string[]][]): boolean {
  const properties = new Map<string, unknown>(Object.entries(device));
  return filters.every(([field, values]) => {
    const property = properties.get(field);
    return values.every((value) =>
      Array.isArray(property) ? property.includes(value) : String(property) === value,
    );
  });
}
