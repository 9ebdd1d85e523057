import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { SandboxDatabase, SandboxTransaction } from '../../database.ts';
import type { SandboxSettings } from '../../settings.ts';
import { insertActions, type NewAction, toAction } from '../actions/store.ts';
import { limitExceeded, notUnique } from '../errors.ts';
import { addTarget } from '../firewalls/store.ts';
import { createPrimaryIps } from '../primary-ips.ts';
import type { ActionError } from '../tables.ts';
import { scheduleBoot } from './boot.ts';
import { resolveOrder, type ServerInput, type ServerOrder } from './order.ts';
import { creation, failedCreation, type Phase } from './phases.ts';
import { isVisible, type ServerRow, toServers } from './store.ts';

interface Dependencies {
  database: SandboxDatabase;
  settings: SandboxSettings;
}

/**
 * Creates a server: the row, its addresses, its actions and the scheduled boot of its machine are committed
 * together. With `error` the create action ends in that error: the server exists but never starts.
 */
export async function createServer(
  { database, settings }: Dependencies,
  input: ServerInput,
  error: ActionError | undefined,
) {
  return database.transaction().execute(async (trx) => {
    // One create at a time: two concurrent ones could both see room for the last server.
    await sql`select pg_advisory_xact_lock(hashtext('hetzner-servers'))`.execute(trx);
    const order = await resolveOrder(trx, input, settings);
    const now = new Date();
    await checkRoom(trx, settings, input.name, now);
    const timeline = planTimeline(settings, input, now, error);
    const row = await insertServer(trx, input, order, timeline, now);
    await createPrimaryIps(trx, row, input.public_net ?? { enable_ipv4: true, enable_ipv6: true });
    for (const id of order.firewallIds) await addTarget(trx, id, { type: 'server', server: { id: row.id } });
    const actions = await insertActions(
      trx,
      timeline.actions.map((action) => ({ ...action, resources: [{ id: row.id, type: 'server' }] })),
    );
    await scheduleBoot(trx, row.id, timeline.phases, settings.machineBootMs);
    const [action, ...nextActions] = actions.map((stored) => toAction(stored, now));
    const server = (await toServers(trx, [row], now))[0];
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

async function checkRoom(trx: SandboxTransaction, settings: SandboxSettings, name: string, now: Date) {
  const { servers, taken } = await trx
    .selectFrom('hetzner_servers')
    .select([
      sql<number>`count(*) filter (where deleted_at is null)::int`.as('servers'),
      sql<boolean>`coalesce(bool_or(name = ${name}), false)`.as('taken'),
    ])
    .where(isVisible(now))
    .executeTakeFirstOrThrow();
  if (taken) throw notUnique('name', 'server name is already used');
  if (servers >= settings.maxServers) throw limitExceeded('server_limit');
}

interface Timeline {
  phases: Phase[];
  lockedUntil: Date;
  actions: Omit<NewAction, 'resources'>[];
}

/** Plans the new server's statuses over time, and the actions that show them. */
function planTimeline(
  { serverCreateMs, serverActionMs }: SandboxSettings,
  input: ServerInput,
  startedAt: Date,
  error: ActionError | undefined,
): Timeline {
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

function insertServer(
  trx: SandboxTransaction,
  input: ServerInput,
  order: ServerOrder,
  timeline: Timeline,
  now: Date,
): Promise<ServerRow> {
  return trx
    .insertInto('hetzner_servers')
    .values({
      name: input.name,
      labels: JSON.stringify(input.labels ?? {}),
      server_type_id: order.serverType.id,
      image_id: order.image.id,
      location_id: order.location.id,
      primary_disk_gb: order.serverType.disk,
      phases: JSON.stringify(timeline.phases),
      locked_until: timeline.lockedUntil,
      user_data: input.user_data ?? null,
      created_at: now,
      ssh_public_keys: JSON.stringify(order.sshKeys),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}
