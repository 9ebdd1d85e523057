import { sql } from 'kysely';
import { z } from 'zod';
import { readAgentSnapshot, readDevice, readLabels, readReason } from '../../stacks/labels.ts';
import type { SnapshotSeal } from '../agents/snapshot-seal.ts';
import { AGENT_SNAPSHOT_REASONS } from '../database/agent-snapshot-tables.ts';
import type { Database } from '../database/connect.ts';
import type { Snapshot } from '../hetzner/hetzner.ts';
import { isAgentSnapshot } from '../runbooks/steps/own-snapshots.ts';
import { isComplete } from '../runbooks/steps/snapshots.ts';
import type { Unclear } from './plan.ts';
import type { Placed } from './survey.ts';

/** A snapshot that is kept beside its agent's server, by its sealed labels: nothing else has its row. */
interface FoundSnapshot {
  snapshotId: string;
  agentId: string;
  why: (typeof AGENT_SNAPSHOT_REASONS)[number];
  tailnetNodeId: string | null;
  image: Placed<Snapshot>;
}

const snapshotIdSchema = z.guid();
const reasonSchema = z.enum(AGENT_SNAPSHOT_REASONS).catch('by-hand');

/**
 * Tells the agents' snapshots from all others with our labels. Who can write to the project can set labels:
 * whose disk a snapshot holds is what their seal proves of the server that Hetzner says it was made from.
 */
export async function planSnapshots(
  seal: Pick<SnapshotSeal, 'isValid'>,
  snapshots: readonly Placed<Snapshot>[],
): Promise<{ found: FoundSnapshot[]; unclear: Unclear[] }> {
  const found: FoundSnapshot[] = [];
  const unclear: Unclear[] = [];
  for (const image of snapshots) {
    const { agentId } = readLabels(image.labels);
    if (agentId === null || !isAgentSnapshot(image, agentId)) continue;
    const { data: snapshotId } = snapshotIdSchema.safeParse(readAgentSnapshot(image.labels));
    if (snapshotId === undefined) unclear.push(toUnclear(image, 'has a label agent-snapshot that is no id'));
    else if (!isComplete(image)) unclear.push(toUnclear(image, `is ${image.status}`));
    else if (!(await seal.isValid(image.labels, image.serverId)))
      unclear.push(toUnclear(image, `nothing proves that it was made from a server of ${agentId}`, UNPROVEN));
    else {
      const why = reasonSchema.parse(readReason(image.labels));
      found.push({ snapshotId, agentId, why, tailnetNodeId: readDevice(image.labels), image });
    }
  }
  return { found, unclear };
}

/**
 * Writes a row for each snapshot that has none, of an agent that is not destroyed, so that the schedule, its
 * retention and reverts go on. Each is one statement: a kill leaves some without a row, which the next run
 * writes.
 *
 * The keys on its disk are the agent's present ones if it was made with its present device. Otherwise they
 * are lost, and a revert to it is refused. The last snapshot before a destroy that did not come to its end is
 * an ordinary one again: a later destroy would take it for its own, though the agent has run since.
 */
export async function restoreSnapshots(
  database: Database,
  found: readonly FoundSnapshot[],
): Promise<{ restored: number; unclear: Unclear[] }> {
  let restored = 0;
  const unclear: Unclear[] = [];
  for (const one of found) {
    const { image, agentId } = one;
    const other = await findOther(database, one);
    if (other !== undefined) unclear.push(toUnclear(image, `is of ${agentId}, and ${other}`, UNPROVEN));
    else if (await restore(database, one)) restored += 1;
    else if (!(await isKnown(database, one)))
      unclear.push(toUnclear(image, `is of ${agentId}, and no such agent is in project ${image.project}`));
  }
  return { restored, unclear };
}

/** What another agent, or a server that waits for one, has of the same. Not a word of the labels counts. */
async function findOther(
  database: Database,
  { snapshotId, agentId, image }: FoundSnapshot,
): Promise<string | undefined> {
  const made = sql`'was made from the server of '`;
  const { rows } = await sql<{ text: string }>`
    select ${made} || agent_id as text from agents where server_id = ${image.serverId} and agent_id <> ${agentId}
    union all select ${made} || slot_id from slots
      where server_id = ${image.serverId} and agent_id is distinct from ${agentId}
    union all select ${made} || agent_id from adoptions
      where server_id = ${image.serverId} and agent_id <> ${agentId} and status <> 'given-back'
    union all select case when snapshot_id = ${snapshotId} or hetzner_id = ${image.id} then 'has its row with '
        else ${made} end || agent_id
      from agent_snapshots where agent_id <> ${agentId}
        and (snapshot_id = ${snapshotId} or hetzner_id = ${image.id} or server_id = ${image.serverId})
    limit 1`.execute(database);
  return rows[0]?.text;
}

const restore = async (database: Database, one: FoundSnapshot): Promise<boolean> =>
  (await sql`${insertFrom(one)} returning 1`.execute(database)).rows.length > 0;

/** Of the agent: what another's row has is not its own. */
async function isKnown(database: Database, { snapshotId, agentId, image }: FoundSnapshot): Promise<boolean> {
  const { rows } = await sql`select from agent_snapshots where agent_id = ${agentId}
    and (snapshot_id = ${snapshotId} or hetzner_id = ${image.id})`.execute(database);
  return rows.length > 0;
}

/** What the rows of a restored backup say was written then: each snapshot's labels are looked at again. */
export const forgetSeals = (database: Database): Promise<unknown> =>
  sql`update agent_snapshots set sealed_with = null, seal_retry_at = null`.execute(database);

/** A backup may say that it is still being made. */
const insertFrom = ({ snapshotId, agentId, why, tailnetNodeId, image }: FoundSnapshot) => sql`
  insert into agent_snapshots (snapshot_id, agent_id, why, status, hetzner_id, size_gb, server_id,
    tailnet_node_id, secrets, made_at)
  select ${snapshotId}, agent_id, ${why === 'before-destroy' ? 'by-hand' : why}, 'available', ${image.id},
    ${image.sizeGb}::float8, ${image.serverId}, ${tailnetNodeId},
    case when tailnet_node_id = ${tailnetNodeId} then secrets end, ${image.createdAt}::timestamptz
  from agents where agent_id = ${agentId} and project = ${image.project}
    and status not in ('destroying', 'destroyed')
    and not exists (select from agent_snapshots where hetzner_id = ${image.id})
  on conflict (snapshot_id) do update set status = 'available', hetzner_id = excluded.hetzner_id,
    size_gb = excluded.size_gb, server_id = excluded.server_id
  where agent_snapshots.status = 'making' and agent_snapshots.agent_id = excluded.agent_id
    and not exists (select from operations o where o.operation_id = agent_snapshots.snapshot_id and o.status in ('queued', 'active'))`;

const LEAVE =
  'The service touches nothing of it, and it is billed. Delete it at Hetzner once nobody needs it';
const DEFAULT_CURE = `${LEAVE}; if it was being made, run rebuild-state again when it is complete.`;
const UNPROVEN = `No agent is put back to it: it may hold another agent’s disk. If its labels were sealed under a former passphrase, start with that as PULUMI_CONFIG_PASSPHRASE_BEFORE and run rebuild-state again; a backup has its row too. ${LEAVE}.`;

function toUnclear({ id, name, project }: Placed<Snapshot>, why: string, cure = DEFAULT_CURE): Unclear {
  return {
    key: `snapshot ${id}`,
    agentId: null,
    cause: `Snapshot ${id} (${name}) in the Hetzner project ${project} carries our labels, and ${why}.`,
    cure,
  };
}
