import { sql } from 'kysely';
import { getAgent } from '../agents/store.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { ShortageError } from '../errors.ts';
import type { HetznerClient } from '../hetzner/hetzner.ts';
import { type DrillRow, finishDrill } from './drills.ts';

const PAUSE_SECONDS = 60;
const inAWhile = sql<Date>`now() + make_interval(secs => ${PAUSE_SECONDS})`;

export interface LeftServerDeps {
  database: Database;
  /** The client of a Hetzner project. @throws Error for one that this process does not have */
  openProject(name: string): Pick<HetznerClient, 'findServer' | 'deleteServer'>;
}

/**
 * Ends a drill whose server may still be there: one project out of reach must not keep the drills of all
 * others waiting. The row remembers the server until a look has found it gone.
 */
export async function leaveServer(trx: Transaction, drill: DrillRow): Promise<void> {
  await finishDrill(trx, drill);
  await lookAgainLater(trx, drill);
}

/**
 * Removes the servers of drills that ended without it, and forgets each only when Hetzner no longer has it.
 * The first error is thrown at the end: one project hides nothing of the others.
 */
export async function removeLeftServers(deps: LeftServerDeps): Promise<void> {
  const errors: unknown[] = [];
  const tried: string[] = [];
  for (;;) {
    const outcome = await removeOne(deps, tried);
    if (outcome === undefined) break;
    tried.push(outcome.drillId);
    if (outcome.error !== undefined) errors.push(outcome.error);
  }
  if (errors.length > 0) throw errors[0];
}

/** @returns undefined if none is due besides `tried` */
function removeOne({ database, openProject }: LeftServerDeps, tried: readonly string[]) {
  return database.transaction().execute(async (trx) => {
    const drill = await trx
      .selectFrom('snapshot_drills')
      .selectAll()
      .where('removal_due_at', '<=', sql<Date>`now()`)
      .$if(tried.length > 0, (query) => query.where('drill_id', 'not in', tried))
      .orderBy('removal_due_at')
      .limit(1)
      .forUpdate()
      .skipLocked()
      .executeTakeFirst();
    if (drill === undefined) return undefined;
    const { drill_id: drillId } = drill;
    const { project } = await getAgent(trx, drill.agent_id);
    try {
      const hetzner = openProject(project);
      const server = await hetzner.findServer(drillId);
      if (server === undefined) await forgetServer(trx, drill);
      // The next look sees whether it is gone.
      else if (server.status !== 'deleting') await hetzner.deleteServer(server.id, { wait: false });
      return { drillId };
    } catch (error) {
      // This worker lacks the project: another one may have it.
      if (error instanceof ShortageError) return { drillId };
      await lookAgainLater(trx, drill);
      return { drillId, error };
    }
  });
}

const lookAgainLater = (trx: Transaction, { drill_id: drillId }: DrillRow) =>
  trx
    .updateTable('snapshot_drills')
    .set({ removal_due_at: inAWhile })
    .where('drill_id', '=', drillId)
    .execute();

const forgetServer = (trx: Transaction, { drill_id: drillId }: DrillRow) =>
  trx.updateTable('snapshot_drills').set({ removal_due_at: null }).where('drill_id', '=', drillId).execute();
