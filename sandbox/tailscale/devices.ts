import { randomInt } from 'node:crypto';
import type pg from 'pg';
import { inTransaction, poolBehind, type Queryable, type SandboxDatabase } from '../database.ts';
import { addressesOf } from './addresses.ts';
import { TailscaleError } from './errors.ts';
import { controlId, hashOf, publicKey, sandboxUser, tailnetDomain } from './identity.ts';
import { invalidity, type KeyRow, wholeSecond } from './keys.ts';

const nodeKeyDays = 180;

export type DeviceRow = {
  id: string;
  node_id: string;
  hostname: string;
  label: string;
  ipv4: string;
  ipv6: string;
  tags: string[];
  registered_by: string;
  authorized: boolean;
  ephemeral: boolean;
  key_expiry_disabled: boolean;
  machine_key: string;
  node_key: string;
  created_at: Date;
  expires_at: Date;
};

export type JoinResult = { tailnetIp: string; name: string } | { refused: string };

/**
 * What `tailscale up --auth-key` on a machine does. A key for one device lets exactly one in, however many knock at
 * once. The machine that joined with a key before gets its device again, as a tailscaled that restarts does;
 * with another key it is a new device, as after a fresh installation.
 */
export async function joinTailnet(
  database: SandboxDatabase,
  { authKey, hostname, machineId }: { authKey: string; hostname: string; machineId: string },
): Promise<JoinResult> {
  return inTransaction(poolBehind(database), async (client) => {
    // The row's lock makes those who knock with the same key wait for each other.
    const { rows } = await client.query<KeyRow>(
      'SELECT * FROM tailscale_keys WHERE secret_hash = $1 FOR UPDATE',
      [hashOf(authKey)],
    );
    const key = rows[0];
    if (!key) return { refused: 'the key is unknown' };
    const device = (await deviceOfMachine(client, machineId, key.id)) ?? invalidity(key);
    if (typeof device === 'object') return { tailnetIp: device.ipv4, name: nameOf(device) };
    if (typeof device === 'string') return { refused: device };
    await client.query('UPDATE tailscale_keys SET used_at = $2 WHERE id = $1', [key.id, new Date()]);
    const joined = await insertDevice(client, key, hostname, machineId);
    return { tailnetIp: joined.ipv4, name: nameOf(joined) };
  });
}

export function nameOf(device: Pick<DeviceRow, 'label'>): string {
  return `${device.label}.${tailnetDomain}`;
}

/**
 * Gives a device a name that its machine cannot change; an empty one has it called by its hostname again.
 * @returns false where there is none with this id.
 * @throws TailscaleError 400 where another device has the name.
 */
export async function nameDevice(pool: pg.Pool, id: string, name: string): Promise<boolean> {
  return inTransaction(pool, async (client) => {
    await client.query(LOCK_NAMES);
    const { rows } = await client.query<DeviceRow>('SELECT * FROM tailscale_devices WHERE id = $1', [id]);
    const device = rows[0];
    if (device === undefined) return false;
    const label = name.toLowerCase() || (await freeLabel(client, device.hostname));
    const taken = await client.query('SELECT 1 FROM tailscale_devices WHERE label = $1 AND id <> $2', [
      label,
      id,
    ]);
    if (taken.rowCount !== 0) throw new TailscaleError(400, `the name ${label} is taken by another device`);
    await client.query('UPDATE tailscale_devices SET label = $2, named = $3 WHERE id = $1', [
      id,
      label,
      name !== '',
    ]);
    return true;
  });
}

/** What `tailscale set --hostname` on a machine does. @returns false where no device has the address. */
export async function setHostname(
  pool: pg.Pool,
  { tailnetIp, hostname }: { tailnetIp: string; hostname: string },
): Promise<boolean> {
  return inTransaction(pool, async (client) => {
    await client.query(LOCK_NAMES);
    const { rows } = await client.query<DeviceRow & { named: boolean }>(
      'UPDATE tailscale_devices SET hostname = $2 WHERE ipv4 = $1 RETURNING *',
      [tailnetIp, hostname],
    );
    const device = rows[0];
    if (device === undefined) return false;
    if (device.named) return true;
    await client.query('UPDATE tailscale_devices SET label = id WHERE id = $1', [device.id]);
    const label = await freeLabel(client, hostname);
    await client.query('UPDATE tailscale_devices SET label = $2 WHERE id = $1', [device.id, label]);
    return true;
  });
}

/** Two machines with one hostname and different keys must not both find the same name free. */
const LOCK_NAMES = "SELECT pg_advisory_xact_lock(hashtext('tailscale-device-name'))";

async function deviceOfMachine(
  db: Queryable,
  machineId: string,
  keyId: string,
): Promise<DeviceRow | undefined> {
  const { rows } = await db.query<DeviceRow>(
    'SELECT * FROM tailscale_devices WHERE machine_id = $1 AND key_id = $2',
    [machineId, keyId],
  );
  return rows[0];
}

async function insertDevice(
  client: pg.PoolClient,
  key: KeyRow,
  hostname: string,
  machineId: string,
): Promise<DeviceRow> {
  await client.query(LOCK_NAMES);
  const { number, ipv4, ipv6 } = await nextAddresses(client);
  const createdAt = wholeSecond(new Date());
  const { rows } = await client.query<DeviceRow>(
    `INSERT INTO tailscale_devices (id, node_id, number, hostname, label, ipv4, ipv6, tags, registered_by, authorized,
       ephemeral, key_expiry_disabled, machine_key, node_key, machine_id, key_id, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) RETURNING *`,
    [
      String(randomInt(10 ** 13, 10 ** 14)),
      controlId('n'),
      number,
      hostname,
      await freeLabel(client, hostname),
      ipv4,
      ipv6,
      key.tags,
      key.user_id === '' ? 'tagged-devices' : sandboxUser.loginName,
      key.preauthorized,
      key.ephemeral,
      // Node keys of tagged devices do not expire.
      key.tags.length > 0,
      publicKey('mkey'),
      publicKey('nodekey'),
      machineId,
      key.id,
      createdAt,
      new Date(createdAt.getTime() + nodeKeyDays * 24 * 3600 * 1000),
    ],
  );
  return rows[0]!;
}

async function nextAddresses(db: Queryable): Promise<{ number: string; ipv4: string; ipv6: string }> {
  for (;;) {
    const { rows } = await db.query<{ number: string }>(
      "SELECT nextval('tailscale_device_number') AS number",
    );
    const addresses = addressesOf(BigInt(rows[0]!.number));
    if (addresses) return { number: rows[0]!.number, ...addresses };
  }
}

/** The hostname as a DNS label; where it is taken, with -1, -2 and so on. */
async function freeLabel(db: Queryable, hostname: string): Promise<string> {
  const base =
    hostname
      .toLowerCase()
      .replace(/[^a-z0-9-]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 59) || 'device';
  const { rows } = await db.query<{ label: string }>(
    'SELECT label FROM tailscale_devices WHERE starts_with(label, $1)',
    [base],
  );
  const taken = new Set(rows.map(({ label }) => label));
  let label = base;
  for (let suffix = 1; taken.has(label); suffix++) label = `${base}-${suffix}`;
  return label;
}
