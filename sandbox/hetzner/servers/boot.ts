import type { SandboxDatabase, SandboxTransaction } from '../../database.ts';
import { scheduleDue } from '../../due.ts';
import { bootBegins, type Phase, type ServerStatus, statusAt } from './phases.ts';

/** The parts of a server that its machine needs. */
export interface BootingServer {
  serverId: number;
  name: string;
  status: ServerStatus;
  /** Counts the installations of the disk, from 1. */
  generation: number;
  userData: string | null;
  /** The server whose snapshot its disk was installed from. */
  originId: number | null;
}

/**
 * Schedules the machine's boot `machineBootMs` after the phases start it. Call it in the transaction that
 * writes the phases, so that the server and the boot are stored together or not at all.
 */
export async function scheduleBoot(
  trx: SandboxTransaction,
  serverId: number,
  phases: readonly Phase[],
  machineBootMs: number,
): Promise<void> {
  const beginsMs = bootBegins(phases);
  if (beginsMs === undefined) return;
  const at = new Date(beginsMs + machineBootMs);
  await scheduleDue(trx, { kind: 'machine-boot', key: String(serverId), at, payload: { serverId } });
}

/** Reads the server, unless its machine has booted since its disk was installed. */
export async function readBootingServer(
  database: SandboxDatabase,
  serverId: number,
): Promise<BootingServer | undefined> {
  const row = await database
    .selectFrom('hetzner_servers as s')
    .leftJoin('hetzner_images as i', 'i.id', 's.image_id')
    .select(['s.name', 's.phases', 's.generation', 's.user_data', 'i.server_id as origin'])
    .where('s.id', '=', serverId)
    .where('s.deleted_at', 'is', null)
    .where('s.boot_pending', '=', true)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { name, phases, generation, user_data: userData, origin } = row;
  return { serverId, name, status: statusAt(phases, Date.now()), generation, userData, originId: origin };
}

/**
 * Records that the machine has booted, and deletes the user data, which is used up and holds secrets.
 * @returns false if the server was rebuilt or deleted meanwhile.
 */
export async function finishBoot(trx: SandboxTransaction, server: BootingServer): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('hetzner_servers')
    .set({ boot_pending: false, user_data: null })
    .where('id', '=', server.serverId)
    .where('generation', '=', server.generation)
    .where('boot_pending', '=', true)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Reads the status and the installation of a server that is not deleted. */
export async function readServerState(
  database: SandboxDatabase,
  serverId: number,
): Promise<{ status: ServerStatus; generation: number } | undefined> {
  const row = await database
    .selectFrom('hetzner_servers')
    .select(['phases', 'generation'])
    .where('id', '=', serverId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  return row && { status: statusAt(row.phases, Date.now()), generation: row.generation };
}
