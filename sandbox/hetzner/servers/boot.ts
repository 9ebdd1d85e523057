import type { Queryable } from '../../database.ts';
import { scheduleDue } from '../../due.ts';
import { bootBegins, type Phase, type ServerStatus, statusAt } from './phases.ts';

/** What a machine needs to know of the server that it stands behind. */
export type BootingServer = {
  serverId: number;
  name: string;
  status: ServerStatus;
  /** Counts the installations of the disk, from 1. */
  generation: number;
  userData: string | null;
};

/**
 * Has the machine boot `machineBootMs` after the course of phases starts it. Belongs into the transaction that
 * writes the phases: the server and the boot are stored together or not at all.
 */
export async function scheduleBoot(
  db: Queryable,
  serverId: number,
  phases: readonly Phase[],
  machineBootMs: number,
): Promise<void> {
  const beginsMs = bootBegins(phases);
  if (beginsMs === undefined) return;
  const at = new Date(beginsMs + machineBootMs);
  await scheduleDue(db, { kind: 'machine-boot', key: String(serverId), at, payload: { serverId } });
}

/** The server whose machine is to boot for the first time since its disk was installed; undefined where none is. */
export async function readBootingServer(db: Queryable, serverId: number): Promise<BootingServer | undefined> {
  const { rows } = await db.query(
    `SELECT name, phases, generation, user_data FROM hetzner_servers
     WHERE id = $1 AND deleted_at IS NULL AND boot_pending`,
    [serverId],
  );
  const row = rows[0];
  if (row === undefined) return undefined;
  const status = statusAt(row.phases, Date.now());
  return { serverId, name: row.name, status, generation: row.generation, userData: row.user_data };
}

/** Notes that the machine has booted, and drops the user data, which has served its purpose and holds secrets. */
export async function finishBoot(db: Queryable, server: BootingServer): Promise<boolean> {
  const { rowCount } = await db.query(
    `UPDATE hetzner_servers SET boot_pending = false, user_data = NULL
     WHERE id = $1 AND generation = $2 AND boot_pending AND deleted_at IS NULL`,
    [server.serverId, server.generation],
  );
  return rowCount === 1;
}

/** Status and installation of a server that is not deleted. */
export async function readServerState(
  db: Queryable,
  serverId: number,
): Promise<{ status: ServerStatus; generation: number } | undefined> {
  const { rows } = await db.query(
    'SELECT phases, generation FROM hetzner_servers WHERE id = $1 AND deleted_at IS NULL',
    [serverId],
  );
  const row = rows[0];
  return row && { status: statusAt(row.phases, Date.now()), generation: row.generation };
}
