import type { SandboxDatabase } from '../database.ts';
import { randomText } from '../random-text.ts';
import type { ControlServer, Device } from './control-server.ts';
import { type DeviceRow, nameDevice } from './devices.ts';

/** Lets every device reach every other, as in a new tailnet; simulated devices send no traffic anyway. */
const INITIAL_POLICY = `${JSON.stringify(
  {
    tagOwners: { 'tag:controller': ['autogroup:admin'], 'tag:agent': ['autogroup:admin', 'tag:controller'] },
    acls: [{ action: 'accept', src: ['*'], dst: ['*:*'] }],
  },
  undefined,
  2,
)}\n`;

/** Creates a tailnet of database rows. Simulated machines join it with `joinTailnet`; it enforces nothing. */
export function createSimulatedControl(database: SandboxDatabase): ControlServer {
  return {
    initialPolicy: INITIAL_POLICY,
    createKey: async ({ id }) => ({ secret: `tskey-auth-${id}-${randomText(32)}`, controlNumber: null }),
    keyStates: async () => new Map(),
    revokeKey: async () => undefined,
    listDevices: async () => {
      const rows = await database.selectFrom('tailscale_devices').selectAll().orderBy('number').execute();
      return rows.map(toDevice);
    },
    deleteDevice: async (id) => {
      const deleted = await database.deleteFrom('tailscale_devices').where('id', '=', id).executeTakeFirst();
      return deleted.numDeletedRows === 1n;
    },
    changeDevice: async (id, { name, ...change }) => {
      if (name !== undefined) return nameDevice(database, id, name);
      const updated = await database
        .updateTable('tailscale_devices')
        .set((device) => ({
          authorized: change.authorized ?? device.ref('authorized'),
          tags: change.tags ?? device.ref('tags'),
          key_expiry_disabled: change.keyExpiryDisabled ?? device.ref('key_expiry_disabled'),
        }))
        .where('id', '=', id)
        .executeTakeFirst();
      return updated.numUpdatedRows === 1n;
    },
    enforcePolicy: async () => undefined,
  };
}

function toDevice(row: DeviceRow): Device {
  return {
    id: row.id,
    nodeId: row.node_id,
    hostname: row.hostname,
    label: row.label,
    addresses: [row.ipv4, row.ipv6],
    tags: row.tags,
    registeredBy: row.registered_by,
    authorized: row.authorized,
    ephemeral: row.ephemeral,
    keyExpiryDisabled: row.key_expiry_disabled,
    machineKey: row.machine_key,
    nodeKey: row.node_key,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    connected: true,
  };
}
