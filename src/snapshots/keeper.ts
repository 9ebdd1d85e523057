import { sql } from 'kysely';
import { readAgentSnapshot } from '../../stacks/labels.ts';
import { audit } from '../agents/audit.ts';
import { type AgentSnapshotRow, isWanted } from '../agents/snapshots.ts';
import type { SnapshotPolicy } from '../config/snapshots.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { cutText } from '../database/storable.ts';
import { errorMessage, RetryableError } from '../errors.ts';
import type { HetznerClient, Snapshot } from '../hetzner/hetzner.ts';
import { isAnothers } from '../runbooks/steps/own-server.ts';
import { isAgentSnapshot } from '../runbooks/steps/own-snapshots.ts';
import { rulesTable } from './schedule.ts';

export interface KeeperDeps {
  database: Database;
  /** The client of a Hetzner project. @throws Error for one that this process does not have */
  openProject(name: string): SnapshotHetzner;
}

type SnapshotHetzner = Pick<HetznerClient, 'getSnapshot' | 'listSnapshots' | 'deleteSnapshot'>;

const LONGEST_ERROR = 8_000;
const RETRY_SECONDS = 30;
const LONGEST_RETRY_SECONDS = 3600;

/**
 * Decides what is to be removed: a snapshot whose operation ended without it, one whose time is over, and
 * those of the schedule beyond the number that is kept. Only complete ones count, so a failure never costs an
 * older one. What an agent is being put back to stays. Repeating it changes nothing.
 */
export async function expireSnapshots(database: Database, policy: SnapshotPolicy): Promise<void> {
  await sql`
    update agent_snapshots s set status = 'removing', run_after = now(), error = o.error
    from operations o where o.operation_id = s.snapshot_id and s.status = 'making'
      and o.status not in ('queued', 'active')`.execute(database);
  await sql`
    update agent_snapshots s set status = 'removing', run_after = now()
    where status = 'available' and delete_after <= business_now()
      and not exists (select from agents a where a.snapshot_id = s.hetzner_id) and not ${isWanted}`.execute(
    database,
  );
  await sql`
    with ranked as (select snapshot_id, agent_id,
        row_number() over (partition by agent_id order by made_at desc, snapshot_id) as position
      from agent_snapshots where status = 'available' and why = 'scheduled')
    update agent_snapshots s set status = 'removing', run_after = now()
    from ranked join agents a using (agent_id) join ${rulesTable(policy)} on rules.plan = a.plan
    where s.snapshot_id = ranked.snapshot_id and ranked.position > rules.keep and s.status = 'available'
      and a.snapshot_id is distinct from s.hetzner_id and not ${isWanted}`.execute(database);
}

/**
 * Removes a snapshot that is to go, if one is due, and says in the audit log that it is gone. The row is
 * locked meanwhile: of several workers one removes it, and a kill leaves it as it was.
 * @returns whether one was due
 */
export async function removeNext({ database, openProject }: KeeperDeps): Promise<boolean> {
  return database.transaction().execute(async (trx) => {
    const row = await trx
      .selectFrom('agent_snapshots')
      .selectAll()
      .where('status', '=', 'removing')
      .where(sql<boolean>`run_after <= now()`)
      .orderBy('run_after')
      .limit(1)
      .forUpdate()
      .skipLocked()
      .executeTakeFirst();
    if (row === undefined) return false;
    if (await putBack(trx, row)) return true;
    try {
      await settleRemoved(trx, row, await removeAtHetzner(openProject(await projectOf(trx, row)), row));
    } catch (error) {
      await settleFailed(trx, row, error);
    }
    return true;
  });
}

/**
 * Looks again under the row's lock: a revert records its snapshot under the same one, and may have done so
 * since it was decided to remove it. @returns whether it stays
 */
async function putBack(trx: Transaction, { snapshot_id: snapshotId }: AgentSnapshotRow): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('agent_snapshots as s')
    .set({ status: 'available', tries: 0, error: null })
    .where('s.snapshot_id', '=', snapshotId)
    .where(sql<boolean>`exists (select from agents a where a.snapshot_id = s.hetzner_id)`)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

async function projectOf(trx: Transaction, { agent_id: agentId }: AgentSnapshotRow): Promise<string> {
  const agent = trx.selectFrom('agents').select('project').where('agent_id', '=', agentId);
  return (await agent.executeTakeFirstOrThrow()).project;
}

/** @returns the ids of what was there. @throws RetryableError if something still is */
async function removeAtHetzner(hetzner: SnapshotHetzner, row: AgentSnapshotRow): Promise<string[]> {
  const found = await findAtHetzner(hetzner, row);
  for (const { id } of found) await hetzner.deleteSnapshot(id);
  for (const { id } of found)
    if ((await hetzner.getSnapshot(id)) !== undefined)
      throw new RetryableError(`Snapshot ${id} is still at Hetzner after its delete`);
  return found.map(({ id }) => id);
}

/** The recorded one, and those with its label: a killed attempt may have begun one that nobody recorded. */
async function findAtHetzner(
  hetzner: SnapshotHetzner,
  { agent_id: agentId, snapshot_id: snapshotId, hetzner_id: hetznerId }: AgentSnapshotRow,
): Promise<Snapshot[]> {
  const recorded = hetznerId === null ? undefined : await hetzner.getSnapshot(hetznerId);
  const owner = { agent_id: agentId, server_id: null, inputs: null };
  const labelled = (await hetzner.listSnapshots(agentId)).filter(
    (one) => isAgentSnapshot(one, agentId) && readAgentSnapshot(one.labels) === snapshotId,
  );
  // A runner may have reported a wrong id.
  const own = recorded === undefined || isAnothers(recorded, owner) ? [] : [recorded];
  return [...own, ...labelled.filter(({ id }) => id !== recorded?.id)];
}

async function settleRemoved(trx: Transaction, row: AgentSnapshotRow, ids: string[]): Promise<void> {
  await trx
    .updateTable('agent_snapshots')
    .set({
      status: 'removed',
      ended_at: sql`now()`,
      secrets: null,
      // Of one that was complete, only its removal can have failed.
      ...(row.hetzner_id !== null && { error: null }),
    })
    .where('snapshot_id', '=', row.snapshot_id)
    .execute();
  const { agent_id: agentId, snapshot_id: snapshotId, hetzner_id: hetznerId, why } = row;
  const details = { snapshotId, why, hetznerId, deleted: ids, goneAt: new Date().toISOString() };
  await audit(trx, { actor: 'service', action: 'snapshot.removed', agentId, details });
}

async function settleFailed(trx: Transaction, row: AgentSnapshotRow, error: unknown): Promise<void> {
  const tries = row.tries + 1;
  const seconds = Math.min(RETRY_SECONDS * 2 ** Math.min(tries - 1, 10), LONGEST_RETRY_SECONDS);
  await trx
    .updateTable('agent_snapshots')
    .set({
      tries,
      error: cutText(`It could not be removed: ${errorMessage(error)}`, LONGEST_ERROR),
      run_after: sql`now() + make_interval(secs => ${seconds})`,
    })
    .where('snapshot_id', '=', row.snapshot_id)
    .execute();
}
