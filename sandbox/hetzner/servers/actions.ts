import { sql } from 'kysely';
import type { SandboxDatabase, SandboxTransaction } from '../../database.ts';
import type { SandboxSettings } from '../../settings.ts';
import { insertActions, toAction } from '../actions/store.ts';
import type { ActionError } from '../tables.ts';
import { scheduleBoot } from './boot.ts';
import type { Phase, ServerStatus } from './phases.ts';
import { lockServer, type ServerRow, serverStatus } from './store.ts';

/** An action at its start: the server's state, and how long the action takes. */
export interface ActionContext {
  trx: SandboxTransaction;
  server: ServerRow;
  status: ServerStatus;
  now: Date;
  finishesAt: Date;
  /** The action will end in an error, so it must make no lasting change. */
  fails: boolean;
  /** A server with a real machine is off only once the machine reports it. */
  realMachines: boolean;
}

/**
 * One of `/servers/{id}/actions/…`. `run` checks and changes the row, and returns the server's new phases.
 */
export interface ServerAction {
  command: string;
  /** With real machines it ends when they report it (`endOpenAction`), not after a fixed time. */
  endsWithMachine?: boolean;
  run(context: ActionContext): Phase[] | Promise<Phase[]>;
}

/** The end of an action whose end is not known yet. */
export const OPEN_END = new Date('9999-01-01T00:00:00Z');

/**
 * Starts an action on a server. The change, the action and a boot that may follow are committed together.
 * With `error` the action ends in that error.
 * @throws HetznerError 404 if there is no such server, 423 while another action runs.
 */
export async function startServerAction(
  { database, settings }: { database: SandboxDatabase; settings: SandboxSettings },
  serverId: number,
  action: ServerAction,
  error: ActionError | undefined,
) {
  return database.transaction().execute(async (trx) => {
    const server = await lockServer(trx, serverId);
    const now = new Date();
    const fails = error !== undefined;
    const { realMachines } = settings;
    const isOpen = action.endsWithMachine === true && realMachines && !fails;
    const finishesAt = isOpen ? OPEN_END : new Date(now.getTime() + settings.serverActionMs);
    const status = serverStatus(server, now);
    const phases = await action.run({ trx, server, status, now, finishesAt, fails, realMachines });
    await trx
      .updateTable('hetzner_servers')
      .set({ phases: JSON.stringify(phases), locked_until: finishesAt })
      .where('id', '=', serverId)
      .execute();
    if (!fails) await scheduleBoot(trx, serverId, phases, settings.machineBootMs);
    const resources = [{ id: serverId, type: 'server' as const }];
    const started = { command: action.command, startedAt: now, finishesAt, resources, error };
    const rows = await insertActions(trx, [started]);
    return toAction(rows[0]!, now);
  });
}

/** Ends a server's open action at `now`, in `error` if there is one, and unlocks the server. */
export async function endOpenAction(
  trx: SandboxTransaction,
  { serverId, command, now, error }: { serverId: number; command: string; now: Date; error?: ActionError },
): Promise<void> {
  await trx
    .updateTable('hetzner_actions')
    .set({ finishes_at: now, error: error === undefined ? null : JSON.stringify(error) })
    .where('command', '=', command)
    .where('finishes_at', '=', OPEN_END)
    .where('resources', '@>', sql<never>`${JSON.stringify([{ id: serverId, type: 'server' }])}::jsonb`)
    .execute();
  await trx
    .updateTable('hetzner_servers')
    .set({ locked_until: now })
    .where('id', '=', serverId)
    .where('locked_until', '=', OPEN_END)
    .execute();
}
