import type { Device } from './control-server.ts';
import { nameOf } from './devices.ts';
import { timestamp } from './keys.ts';

const clientVersion = '1.98.2-t5a4db0c1e-gsandbox';

/**
 * A device as the API shows it. `all` adds what costs Tailscale something to gather.
 * There is no `lastSeen` for a device that is connected right now.
 */
export function toDevice(device: Device, fields: 'default' | 'all') {
  return {
    addresses: device.addresses,
    id: device.id,
    nodeId: device.nodeId,
    user: device.registeredBy,
    name: nameOf(device),
    hostname: device.hostname,
    clientVersion,
    updateAvailable: false,
    os: 'linux',
    created: timestamp(device.createdAt),
    connectedToControl: device.connected,
    ...(!device.connected && device.lastSeenAt && { lastSeen: timestamp(device.lastSeenAt) }),
    keyExpiryDisabled: device.keyExpiryDisabled,
    expires: timestamp(device.expiresAt),
    authorized: device.authorized,
    isExternal: false,
    isEphemeral: device.ephemeral,
    machineKey: device.machineKey,
    nodeKey: device.nodeKey,
    blocksIncomingConnections: false,
    ...(device.tags.length > 0 && { tags: device.tags }),
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
