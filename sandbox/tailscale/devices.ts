import { randomInt } from 'node:crypto';
import { type Selectable, type SqlBool, sql } from 'kysely';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import { addressesFor } from './addresses.ts';
import { TailscaleError } from './errors.ts';
import { controlId, hashSecret, publicKey, SANDBOX_USER, TAILNET_DOMAIN } from './identity.ts';
import { invalidity, type KeyRow, wholeSecond } from './keys.ts';
import type { DeviceTable } from './schema.ts';

const NODE_KEY_DAYS = 180;

export type DeviceRow = Selectable<DeviceTable>;

export type JoinResult = { tailnetIp: string; name: string } | { refused: string };

/**
 * Does what `tailscale up --auth-key` does on a machine. A single-use key admits exactly one device, however
 * many machines try it concurrently. A machine that has joined with the key before gets its device back, as a
 * restarted tailscaled does; with another key it becomes a new device, as after a fresh installation.
 */
export async function joinTailnet(
  database: SandboxDatabase,
  { authKey, hostname, machineId }: { authKey: string; hostname: string; machineId: string },
): Promise<JoinResult> {
  return database.transaction().execute(async (trx) => {
    // The row lock serializes machines that join with the same key.
    const key = await trx
      .selectFrom('tailscale_keys')
      .selectAll()
      .where('secret_hash', '=', hashSecret(authKey))
      .forUpdate()
      .executeTakeFirst();
    if (!key) return { refused: 'the key is unknown' };
    const device = (await findDeviceForMachine(trx, machineId, key.id)) ?? invalidity(key);
    if (typeof device === 'object') return { tailnetIp: device.ipv4, name: toDeviceName(device) };
    if (typeof device === 'string') return { refused: device };
    await trx.updateTable('tailscale_keys').set({ used_at: new Date() }).where('id', '=', key.id).execute();
    const joined = await insertDevice(trx, key, hostname, machineId);
    return { tailnetIp: joined.ipv4, name: toDeviceName(joined) };
  });
}

/** Returns a device's full DNS name. */
export function toDeviceName(device: Pick<DeviceRow, 'label'>): string {
  return `${device.label}.${TAILNET_DOMAIN}`;
}

/**
 * Assigns a name that the machine cannot change. An empty one makes the name follow the hostname again.
 * @returns false if no device has this id.
 * @throws TailscaleError 400 if another device has the name.
 */
export async function nameDevice(database: SandboxDatabase, id: string, name: string): Promise<boolean> {
  return database.transaction().execute(async (trx) => {
    await lockNames(trx);
    const device = await trx
      .selectFrom('tailscale_devices')
      .select('hostname')
      .where('id', '=', id)
      .executeTakeFirst();
    if (device === undefined) return false;
    const label = name.toLowerCase() || (await findFreeLabel(trx, device.hostname));
    const other = await trx
      .selectFrom('tailscale_devices')
      .select('id')
      .where('label', '=', label)
      .where('id', '<>', id)
      .executeTakeFirst();
    if (other !== undefined) throw new TailscaleError(400, `the name ${label} is taken by another device`);
    await updateDevice(trx, id, { label, named: name !== '' });
    return true;
  });
}

/** Does what `tailscale set --hostname` does on a machine. @returns false if no device has the address. */
export async function setHostname(
  database: SandboxDatabase,
  { tailnetIp, hostname }: { tailnetIp: string; hostname: string },
): Promise<boolean> {
  return database.transaction().execute(async (trx) => {
    await lockNames(trx);
    const device = await trx
      .updateTable('tailscale_devices')
      .set({ hostname })
      .where('ipv4', '=', tailnetIp)
      .returning(['id', 'named'])
      .executeTakeFirst();
    if (device === undefined) return false;
    if (device.named) return true;
    // Its old label must not count as taken.
    await updateDevice(trx, device.id, { label: device.id });
    await updateDevice(trx, device.id, { label: await findFreeLabel(trx, hostname) });
    return true;
  });
}

/** Locks the names: two machines with the same hostname must not both find the same name free. */
async function lockNames(trx: SandboxTransaction): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('tailscale-device-name'))`.execute(trx);
}

async function updateDevice(
  trx: SandboxTransaction,
  id: string,
  change: { label: string; named?: boolean },
): Promise<void> {
  await trx.updateTable('tailscale_devices').set(change).where('id', '=', id).execute();
}

async function findDeviceForMachine(
  trx: SandboxTransaction,
  machineId: string,
  keyId: string,
): Promise<DeviceRow | undefined> {
  return trx
    .selectFrom('tailscale_devices')
    .selectAll()
    .where('machine_id', '=', machineId)
    .where('key_id', '=', keyId)
    .executeTakeFirst();
}

async function insertDevice(
  trx: SandboxTransaction,
  key: KeyRow,
  hostname: string,
  machineId: string,
): Promise<DeviceRow> {
  await lockNames(trx);
  const { number, ipv4, ipv6 } = await nextAddresses(trx);
  const createdAt = wholeSecond(new Date());
  return trx
    .insertInto('tailscale_devices')
    .values({
      id: String(randomInt(10 ** 13, 10 ** 14)),
      node_id: controlId('n'),
      number,
      hostname,
      label: await findFreeLabel(trx, hostname),
      ipv4,
      ipv6,
      tags: key.tags,
      registered_by: key.user_id === '' ? 'tagged-devices' : SANDBOX_USER.loginName,
      authorized: key.preauthorized,
      ephemeral: key.ephemeral,
      // Node keys of tagged devices do not expire.
      key_expiry_disabled: key.tags.length > 0,
      machine_key: publicKey('mkey'),
      node_key: publicKey('nodekey'),
      machine_id: machineId,
      key_id: key.id,
      created_at: createdAt,
      expires_at: new Date(createdAt.getTime() + NODE_KEY_DAYS * 24 * 3600 * 1000),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

async function nextAddresses(
  trx: SandboxTransaction,
): Promise<{ number: string; ipv4: string; ipv6: string }> {
  for (;;) {
    const { rows } = await sql<{
      number: string;
    }>`select nextval('tailscale_device_number') as number`.execute(trx);
    const { number } = rows[0]!;
    const addresses = addressesFor(BigInt(number));
    if (addresses) return { number, ...addresses };
  }
}

/** Returns the hostname as a DNS label, with -1, -2 and so on appended if it is taken. */
async function findFreeLabel(trx: SandboxTransaction, hostname: string): Promise<string> {
  const base =
    hostname
      .toLowerCase()
      .replace(/[^a-z0-9-]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 59) || 'device';
  const rows = await trx
    .selectFrom('tailscale_devices')
    .select('label')
    .where(({ fn, val }) => fn<SqlBool>('starts_with', ['label', val(base)]))
    .execute();
  const taken = new Set(rows.map(({ label }) => label));
  let label = base;
  for (let suffix = 1; taken.has(label); suffix++) label = `${base}-${suffix}`;
  return label;
}
