import type { SandboxDatabase, SandboxTransaction } from '../../database.ts';
import type { SandboxSettings } from '../../settings.ts';
import { insertActions, toAction } from '../actions/store.ts';
import type { ActionError } from '../schema.ts';
import { scheduleBoot } from './boot.ts';
import type { Phase, ServerStatus } from './phases.ts';
import { lockServer, type ServerRow, serverStatus } from './store.ts';

/** An action at its start: the state that it finds, and how long it takes. */
export interface ActionContext {
  trx: SandboxTransaction;
  server: ServerRow;
  status: ServerStatus;
  now: Date;
  finishesAt: Date;
  /** The action will end in an error: it must leave no lasting change. */
  fails: boolean;
  /** A real machine reports itself when it is off; only then is its server. */
  realMachines: boolean;
}

/** One of `/servers/{id}/actions/…`: checks and changes the row, and returns how the server's status runs. */
export interface ServerAction {
  command: string;
  run(context: ActionContext): Phase[] | Promise<Phase[]>;
}

/**
 * Starts an action on a server. The change, the action and the boot that may follow are committed together.
 * With `error` the action ends in it. @throws HetznerError 404 where there is no such server, 423 while
 * another action runs.
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
    const finishesAt = new Date(now.getTime() + settings.serverActionMs);
    const status = serverStatus(server, now);
    const fails = error !== undefined;
    const { realMachines } = settings;
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
