import type pg from 'pg';
import type { ControlServer } from './control-server.ts';
import type { Caller } from './credentials.ts';
import { TailscaleError } from './errors.ts';
import { controlId, hashOf } from './identity.ts';
import type { KeyRequest } from './key-request.ts';
import { readPolicy } from './policy.ts';
import { requirePermittedTags } from './tag-owners.ts';

export type KeyRow = {
  id: string;
  description: string;
  reusable: boolean;
  ephemeral: boolean;
  preauthorized: boolean;
  tags: string[];
  expiry_seconds: number;
  user_id: string;
  created_at: Date;
  expires_at: Date;
  used_at: Date | null;
  revoked_at: Date | null;
  control_number: string | null;
};

/** Makes an auth key. Its secret is in this answer and nowhere else, afterwards or before. */
export async function createKey(pool: pg.Pool, control: ControlServer, request: KeyRequest, caller: Caller) {
  const { create } = request.capabilities.devices;
  if (caller.userId === '' && create.tags.length === 0)
    throw new TailscaleError(400, 'tailnet-owned auth key must have tags set');
  requirePermittedTags((await readPolicy(pool, control)).text, create.tags, caller);
  const id = controlId('k');
  const createdAt = wholeSecond(new Date());
  const expiresAt = new Date(createdAt.getTime() + request.expirySeconds * 1000);
  // A kill before the row is written leaves a key that nobody has ever seen.
  const { secret, controlNumber } = await control.createKey({ id, request, expiresAt, caller });
  const { rows } = await pool.query<KeyRow>(
    `INSERT INTO tailscale_keys (id, secret_hash, description, reusable, ephemeral, preauthorized, tags,
       expiry_seconds, user_id, created_at, expires_at, control_number)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING *`,
    [
      id,
      hashOf(secret),
      request.description,
      create.reusable,
      create.ephemeral,
      create.preauthorized,
      create.tags,
      request.expirySeconds,
      caller.userId,
      createdAt,
      expiresAt,
      controlNumber,
    ],
  );
  return { ...toKey(rows[0]!), key: secret };
}

export async function showKey(pool: pg.Pool, control: ControlServer, id: string) {
  const { rows } = await pool.query<KeyRow>('SELECT * FROM tailscale_keys WHERE id = $1', [id]);
  const [row] = await withStates(control, rows);
  if (!row) throw new TailscaleError(404, 'key not found');
  return toKey(row);
}

/** The keys that still let a device in, oldest first: the caller's own, or with `all` the whole tailnet's. */
export async function listKeys(pool: pg.Pool, control: ControlServer, caller: Caller, all: boolean) {
  const { rows } = await pool.query<KeyRow>(
    `SELECT * FROM tailscale_keys WHERE revoked_at IS NULL AND expires_at > $1 AND (reusable OR used_at IS NULL)
       AND ($2 OR user_id = $3) ORDER BY number`,
    [new Date(), all, caller.userId],
  );
  return (await withStates(control, rows)).filter((row) => invalidity(row) === undefined).map(toKey);
}

/** Deletes a key; it can be read for as long as the sandbox lives, as invalid and with the time of its end. */
export async function revokeKey(pool: pg.Pool, control: ControlServer, id: string): Promise<void> {
  const { rows } = await pool.query<KeyRow>(
    'SELECT * FROM tailscale_keys WHERE id = $1 AND revoked_at IS NULL',
    [id],
  );
  if (!rows[0]) throw new TailscaleError(404, 'key not found');
  await control.revokeKey(rows[0].control_number);
  const { rowCount } = await pool.query(
    'UPDATE tailscale_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL',
    [id, wholeSecond(new Date())],
  );
  if (rowCount === 0) throw new TailscaleError(404, 'key not found');
}

/** The rows with what the control server knows better. */
async function withStates(control: ControlServer, rows: KeyRow[]): Promise<KeyRow[]> {
  if (rows.every((row) => row.control_number === null)) return rows;
  const states = await control.keyStates();
  const now = new Date();
  return rows.map((row) => {
    if (row.control_number === null) return row;
    // One that it does not know (its database was lost) lets nobody in.
    const { used, expired } = states.get(row.control_number) ?? { used: false, expired: true };
    return {
      ...row,
      used_at: row.used_at ?? (used ? now : null),
      expires_at: expired && row.expires_at > now ? now : row.expires_at,
    };
  });
}

/** Why a key lets nobody in any more, or nothing if it does. */
export function invalidity(key: KeyRow): string | undefined {
  if (key.revoked_at) return 'the key was revoked';
  if (key.expires_at <= new Date()) return 'the key has expired';
  if (key.used_at && !key.reusable) return 'the key is for one device and was used';
  return undefined;
}

/** A key as the API shows it. */
export function toKey(row: KeyRow) {
  const { reusable, ephemeral, preauthorized, tags } = row;
  return {
    id: row.id,
    keyType: 'auth',
    expirySeconds: row.expiry_seconds,
    created: timestamp(row.created_at),
    expires: timestamp(row.expires_at),
    ...(row.revoked_at && { revoked: timestamp(row.revoked_at) }),
    invalid: invalidity(row) !== undefined,
    capabilities: { devices: { create: { reusable, ephemeral, preauthorized, tags } } },
    description: row.description,
    userId: row.user_id,
  };
}

/** RFC 3339 in whole seconds, as Tailscale writes times. */
export function timestamp(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}

export function wholeSecond(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000);
}
