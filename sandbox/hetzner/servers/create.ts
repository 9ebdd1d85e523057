import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { inTransaction } from '../../database.ts';
import type { SandboxSettings } from '../../settings.ts';
import { type ActionError, insertActions, type NewAction, toAction } from '../actions/store.ts';
import { limitExceeded, notUnique } from '../errors.ts';
import { addTarget } from '../firewalls/store.ts';
import { createPrimaryIps } from '../primary-ips.ts';
import { scheduleBoot } from './boot.ts';
import { resolveOrder, type ServerInput, type ServerOrder } from './order.ts';
import { creation, failedCreation, type Phase } from './phases.ts';
import { type ServerRow, toServers } from './store.ts';

type Dependencies = { pool: pg.Pool; settings: SandboxSettings };

/**
 * Sells a server: the row, its addresses, its actions and the coming boot of its machine are committed together.
 * With `error` the create action ends in it, and the server, though there, never starts.
 */
export async function createServer(
  { pool, settings }: Dependencies,
  input: ServerInput,
  error: ActionError | undefined,
) {
  return inTransaction(pool, async (client) => {
    // One create at a time, or two of them could both see room for the last one.
    await client.query("SELECT pg_advisory_xact_lock(hashtext('hetzner-servers'))");
    const order = await resolveOrder(client, input, settings);
    const now = new Date();
    await checkRoom(client, settings, input.name, now);
    const course = planCourse(settings, input, now, error);
    const row = await insertServer(client, input, order, course, now);
    await createPrimaryIps(client, row, input.public_net ?? { enable_ipv4: true, enable_ipv6: true });
    for (const id of order.firewallIds)
      await addTarget(client, id, { type: 'server', server: { id: row.id } });
    const actions = await insertActions(
      client,
      course.actions.map((action) => ({ ...action, resources: [{ id: row.id, type: 'server' }] })),
    );
    await scheduleBoot(client, row.id, course.phases, settings.machineBootMs);
    const [action, ...nextActions] = actions.map((stored) => toAction(stored, now));
    const server = (await toServers(client, [row], now))[0];
    return {
      server,
      action,
      next_actions: nextActions,
      root_password: order.sshKeys.length > 0 ? null : newPassword(),
    };
  });
}

export function newPassword(): string {
  return randomBytes(15).toString('base64url');
}

async function checkRoom(client: pg.PoolClient, settings: SandboxSettings, name: string, now: Date) {
  const { rows } = await client.query<{ servers: number; taken: boolean }>(
    `SELECT count(*) FILTER (WHERE deleted_at IS NULL)::int AS servers, coalesce(bool_or(name = $1), false) AS taken
     FROM hetzner_servers WHERE deleted_at IS NULL OR deleted_at > $2`,
    [name, now],
  );
  if (rows[0]!.taken) throw notUnique('name', 'server name is already used');
  if (rows[0]!.servers >= settings.maxServers) throw limitExceeded('server_limit');
}

type Course = { phases: Phase[]; lockedUntil: Date; actions: Omit<NewAction, 'resources'>[] };

/** What will happen to the new server over time, and the actions that show it. */
function planCourse(
  { serverCreateMs, serverActionMs }: SandboxSettings,
  input: ServerInput,
  startedAt: Date,
  error: ActionError | undefined,
): Course {
  const nowMs = startedAt.getTime();
  const starts = input.start_after_create ?? true;
  const created = new Date(nowMs + serverCreateMs);
  const started = new Date(nowMs + serverCreateMs + serverActionMs);
  const create = { command: 'create_server', startedAt, finishesAt: created, error };
  const start = { command: 'start_server', startedAt, finishesAt: error ? created : started, error };
  return {
    phases: error
      ? failedCreation(nowMs, serverCreateMs)
      : creation(nowMs, serverCreateMs, serverActionMs, starts),
    lockedUntil: starts && !error ? started : created,
    actions: starts ? [create, start] : [create],
  };
}

async function insertServer(
  client: pg.PoolClient,
  input: ServerInput,
  order: ServerOrder,
  course: Course,
  now: Date,
): Promise<ServerRow> {
  const { rows } = await client.query<ServerRow>(
    `INSERT INTO hetzner_servers
       (name, labels, server_type_id, image_id, location_id, primary_disk_gb, phases, locked_until, user_data, created_at,
        ssh_public_keys)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING *`,
    [
      input.name,
      input.labels ?? {},
      order.serverType.id,
      order.image.id,
      order.location.id,
      order.serverType.disk,
      JSON.stringify(course.phases),
      course.lockedUntil,
      input.user_data ?? null,
      now,
      JSON.stringify(order.sshKeys),
    ],
  );
  return rows[0]!;
}
