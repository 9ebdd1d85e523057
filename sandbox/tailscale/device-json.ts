import type { Device } from './control-server.ts';
import { toDeviceName } from './devices.ts';
import { toTimestamp } from './keys.ts';

const CLIENT_VERSION = '1.98.2-t5a4db0c1e-gsandbox';

/**
 * Returns a device as the API shows it. `all` adds the fields that Tailscale returns only on request.
 * A connected device has no `lastSeen`.
 */
export function toDevice(device: Device, fields: 'default' | 'all') {
  return {
    addresses: device.addresses,
    id: device.id,
    nodeId: device.nodeId,
    user: device.registeredBy,
    name: toDeviceName(device),
    hostname: device.hostname,
    clientVersion: CLIENT_VERSION,
    updateAvailable: false,
    os: 'linux',
    created: toTimestamp(device.createdAt),
    connectedToControl: device.connected,
    ...(!device.connected && device.lastSeenAt && { lastSeen: toTimestamp(device.lastSeenAt) }),
    keyExpiryDisabled: device.keyExpiryDisabled,
    expires: toTimestamp(device.expiresAt),
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
    ...(fields === 'all' && EXTRA_FIELDS),
  };
}

const EXTRA_FIELDS = {
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

/** Whether a device matches every `field=value` pair of a query. A list matches if it contains the value. */
export function matchesFilters(device: object, filters: [field: string, values: string[]][]): boolean {
  const properties = new Map<string, unknown>(Object.entries(device));
  return filters.every(([field, values]) => {
    const property = properties.get(field);
    return values.every((value) =>
      Array.isArray(property) ? property.includes(value) : String(property) === value,
    );
  });
}
