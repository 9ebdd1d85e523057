import { poolBehind, type SandboxDatabase } from '../database.ts';
import { randomText } from '../random-text.ts';
import type { ControlServer, Device } from './control-server.ts';
import { type DeviceRow, nameDevice } from './devices.ts';

/** Everybody may reach everybody, as on a new tailnet of Tailscale's; simulated devices send nothing anyway. */
const initialPolicy = `${JSON.stringify(
  {
    tagOwners: { 'tag:controller': ['autogroup:admin'], 'tag:agent': ['autogroup:admin', 'tag:controller'] },
    acls: [{ action: 'accept', src: ['*'], dst: ['*:*'] }],
  },
  undefined,
  2,
)}\n`;

/** A tailnet of rows: its devices are those of simulated machines (`joinTailnet`), and there is nothing to enforce. */
export function createSimulatedControl(database: SandboxDatabase): ControlServer {
  const pool = poolBehind(database);
  return {
    initialPolicy,
    createKey: async ({ id }) => ({ secret: `tskey-auth-${id}-${randomText(32)}`, controlNumber: null }),
    keyStates: async () => new Map(),
    revokeKey: async () => undefined,
    listDevices: async () => {
      const { rows } = await pool.query<DeviceRow>('SELECT * FROM tailscale_devices ORDER BY number');
      return rows.map(toDevice);
    },
    deleteDevice: async (id) => {
      const { rowCount } = await pool.query('DELETE FROM tailscale_devices WHERE id = $1', [id]);
      return rowCount === 1;
    },
    changeDevice: async (id, change) => {
      if (change.name !== undefined) return nameDevice(pool, id, change.name);
      const { rowCount } = await pool.query(
        `UPDATE tailscale_devices SET authorized = coalesce($2, authorized), tags = coalesce($3, tags),
           key_expiry_disabled = coalesce($4, key_expiry_disabled) WHERE id = $1`,
        [id, change.authorized, change.tags, change.keyExpiryDisabled],
      );
      return rowCount === 1;
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
