import type { Selectable } from 'kysely';
import type { SandboxDatabase } from '../database.ts';
import type { ControlServer } from './control-server.ts';
import type { Caller } from './credentials.ts';
import { TailscaleError } from './errors.ts';
import { controlId, hashSecret } from './identity.ts';
import type { KeyRequest } from './key-request.ts';
import { readPolicy } from './policy.ts';
import type { KeyTable } from './schema.ts';
import { requirePermittedTags } from './tag-owners.ts';

export type KeyRow = Selectable<KeyTable>;

/** Creates an auth key. Only this answer contains its secret. */
export async function createKey(
  database: SandboxDatabase,
  control: ControlServer,
  request: KeyRequest,
  caller: Caller,
) {
  const { create } = request.capabilities.devices;
  if (caller.userId === '' && create.tags.length === 0)
    throw new TailscaleError(400, 'tailnet-owned auth key must have tags set');
  requirePermittedTags((await readPolicy(database, control)).text, create.tags, caller);
  const id = controlId('k');
  const createdAt = wholeSecond(new Date());
  const expiresAt = new Date(createdAt.getTime() + request.expirySeconds * 1000);
  // A crash before the row is written leaves a key whose secret was never returned.
  const { secret, controlNumber } = await control.createKey({ id, request, expiresAt, caller });
  const row = await database
    .insertInto('tailscale_keys')
    .values({
      id,
      secret_hash: hashSecret(secret),
      description: request.description,
      reusable: create.reusable,
      ephemeral: create.ephemeral,
      preauthorized: create.preauthorized,
      tags: create.tags,
      expiry_seconds: request.expirySeconds,
      user_id: caller.userId,
      created_at: createdAt,
      expires_at: expiresAt,
      control_number: controlNumber,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return { ...toKey(row), key: secret };
}

/** Returns a key without its secret. @throws TailscaleError 404 */
export async function showKey(database: SandboxDatabase, control: ControlServer, id: string) {
  const rows = await database.selectFrom('tailscale_keys').selectAll().where('id', '=', id).execute();
  const [row] = await withStates(control, rows);
  if (!row) throw new TailscaleError(404, 'key not found');
  return toKey(row);
}

/** Lists the valid keys, oldest first: the caller's own, or with `all` those of the whole tailnet. */
export async function listKeys(
  database: SandboxDatabase,
  control: ControlServer,
  caller: Caller,
  all: boolean,
) {
  const rows = await database
    .selectFrom('tailscale_keys')
    .selectAll()
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', new Date())
    .where((key) => key.or([key('reusable', '=', true), key('used_at', 'is', null)]))
    .$if(!all, (keys) => keys.where('user_id', '=', caller.userId))
    .orderBy('number')
    .execute();
  return (await withStates(control, rows)).filter((row) => invalidity(row) === undefined).map(toKey);
}

/** Revokes a key. It can still be read, as invalid and with the time of its revocation. */
export async function revokeKey(
  database: SandboxDatabase,
  control: ControlServer,
  id: string,
): Promise<void> {
  const key = await database
    .selectFrom('tailscale_keys')
    .select('control_number')
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  if (key === undefined) throw new TailscaleError(404, 'key not found');
  await control.revokeKey(key.control_number);
  const { numUpdatedRows } = await database
    .updateTable('tailscale_keys')
    .set({ revoked_at: wholeSecond(new Date()) })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  if (numUpdatedRows === 0n) throw new TailscaleError(404, 'key not found');
}

/** Completes rows with the state that only the control server knows. */
async function withStates(control: ControlServer, rows: KeyRow[]): Promise<KeyRow[]> {
  if (rows.every((row) => row.control_number === null)) return rows;
  const states = await control.keyStates();
  const now = new Date();
  return rows.map((row) => {
    if (row.control_number === null) return row;
    // A key that the control server does not know (its database was lost) admits no device.
    const { used, expired } = states.get(row.control_number) ?? { used: false, expired: true };
    return {
      ...row,
      used_at: row.used_at ?? (used ? now : null),
      expires_at: expired && row.expires_at > now ? now : row.expires_at,
    };
  });
}

/** Returns why a key no longer admits devices, or undefined if it does. */
export function invalidity(key: KeyRow): string | undefined {
  if (key.revoked_at) return 'the key was revoked';
  if (key.expires_at <= new Date()) return 'the key has expired';
  if (key.used_at && !key.reusable) return 'the key is for one device and was used';
  return undefined;
}

/** Returns a key as the API shows it. */
export function toKey(row: KeyRow) {
  const { reusable, ephemeral, preauthorized, tags } = row;
  return {
    id: row.id,
    keyType: 'auth',
    expirySeconds: row.expiry_seconds,
    created: toTimestamp(row.created_at),
    expires: toTimestamp(row.expires_at),
    ...(row.revoked_at && { revoked: toTimestamp(row.revoked_at) }),
    invalid: invalidity(row) !== undefined,
    capabilities: { devices: { create: { reusable, ephemeral, preauthorized, tags } } },
    description: row.description,
    userId: row.user_id,
  };
}

/** Formats a time like Tailscale: RFC 3339 in whole seconds. */
export function toTimestamp(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Rounds down to the whole second, Tailscale's precision. */
export function wholeSecond(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000);
}
