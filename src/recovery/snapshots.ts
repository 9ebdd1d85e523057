import { sql } from 'kysely';
import { z } from 'zod';
import { readAgentSnapshot, readDevice, readLabels, readReason } from '../../stacks/labels.ts';
import { AGENT_SNAPSHOT_REASONS } from '../database/agent-snapshot-tables.ts';
import type { Database } from '../database/connect.ts';
import type { Snapshot } from '../hetzner/hetzner.ts';
import { isAgentSnapshot } from '../runbooks/steps/own-snapshots.ts';
import { isComplete } from '../runbooks/steps/snapshots.ts';
import type { Unclear } from './plan.ts';
import type { Placed } from './survey.ts';

/** A snapshot that is kept beside its agent's server, by its labels alone: nothing else has its row. */
interface FoundSnapshot {
  snapshotId: string;
  agentId: string;
  why: (typeof AGENT_SNAPSHOT_REASONS)[number];
  tailnetNodeId: string | null;
  image: Placed<Snapshot>;
}

const snapshotIdSchema = z.guid();
const reasonSchema = z.enum(AGENT_SNAPSHOT_REASONS).catch('by-hand');

/** Tells the agents' snapshots from all others with our labels. */
export function planSnapshots(snapshots: readonly Placed<Snapshot>[]): {
  found: FoundSnapshot[];
  unclear: Unclear[];
} {
  const found: FoundSnapshot[] = [];
  const unclear: Unclear[] = [];
  for (const image of snapshots) {
    const { agentId } = readLabels(image.labels);
    if (agentId === null || !isAgentSnapshot(image, agentId)) continue;
    const { data: snapshotId } = snapshotIdSchema.safeParse(readAgentSnapshot(image.labels));
    if (snapshotId === undefined) unclear.push(toUnclear(image, 'has a label agent-snapshot that is no id'));
    else if (!isComplete(image)) unclear.push(toUnclear(image, `is ${image.status}`));
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
    const { rows } = await sql<{ isWritten: boolean; isKnown: boolean }>`
      with written as (${insertFrom(one)} returning 1)
      select exists (select from written) as "isWritten", exists (select from agent_snapshots
        where snapshot_id = ${one.snapshotId} or hetzner_id = ${one.image.id}) as "isKnown"`.execute(
      database,
    );
    if (rows[0]!.isWritten) restored += 1;
    else if (!rows[0]!.isKnown)
      unclear.push(
        toUnclear(one.image, `is of ${one.agentId}, and no such agent is in project ${one.image.project}`),
      );
  }
  return { restored, unclear };
}

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
  where agent_snapshots.status = 'making' and not exists (select from operations o
    where o.operation_id = agent_snapshots.snapshot_id and o.status in ('queued', 'active'))`;

function toUnclear({ id, name, project }: Placed<Snapshot>, why: string): Unclear {
  return {
    key: `snapshot ${id}`,
    agentId: null,
    cause: `Snapshot ${id} (${name}) in the Hetzner project ${project} carries our labels, and ${why}.`,
    cure: 'The service touches nothing of it, and it is billed. Delete it at Hetzner once nobody needs it; if it was being made, run rebuild-state again when it is complete.',
  };
}
