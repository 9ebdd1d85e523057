import type pg from 'pg';
import { inTransaction } from '../../database.ts';
import type { SandboxSettings } from '../../settings.ts';
import { type ActionError, insertActions, toAction } from '../actions/store.ts';
import { scheduleBoot } from './boot.ts';
import type { Phase, ServerStatus } from './phases.ts';
import { lockServer, type ServerRow, serverStatus } from './store.ts';

/** The moment at which an action begins, what it finds, and how long it will take. */
export type ActionContext = {
  client: pg.PoolClient;
  server: ServerRow;
  status: ServerStatus;
  now: Date;
  finishesAt: Date;
  /** The action will end in an error: it must change nothing for good. */
  fails: boolean;
  /** A real machine says itself when it is off; only then is its server. */
  realMachines: boolean;
};

/** What one of `/servers/{id}/actions/…` does: how the server's status will run, after checks and changes of the row. */
export type ServerAction = {
  command: string;
  run(context: ActionContext): Phase[] | Promise<Phase[]>;
};

/**
 * Begins an action on a server: 404 where there is none, 423 while another action runs. Change, action and the
 * boot that may follow are committed together. `error` is what the action will end in.
 */
export async function startServerAction(
  { pool, settings }: { pool: pg.Pool; settings: SandboxSettings },
  serverId: number,
  action: ServerAction,
  error: ActionError | undefined,
) {
  return inTransaction(pool, async (client) => {
    const server = await lockServer(client, serverId);
    const now = new Date();
    const finishesAt = new Date(now.getTime() + settings.serverActionMs);
    const status = serverStatus(server, now);
    const fails = error !== undefined;
    const { realMachines } = settings;
    const phases = await action.run({ client, server, status, now, finishesAt, fails, realMachines });
    await client.query('UPDATE hetzner_servers SET phases = $2, locked_until = $3 WHERE id = $1', [
      serverId,
      JSON.stringify(phases),
      finishesAt,
    ]);
    if (!fails) await scheduleBoot(client, serverId, phases, settings.machineBootMs);
    const resources = [{ id: serverId, type: 'server' as const }];
    const started = { command: action.command, startedAt: now, finishesAt, resources, error };
    const rows = await insertActions(client, [started]);
    return toAction(rows[0]!, now);
  });
}
