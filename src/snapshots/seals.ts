import { sql } from 'kysely';
import { agentSnapshotName } from '../../stacks/inputs.ts';
import { correctAgentSnapshotLabels } from '../../stacks/labels.ts';
import type { SnapshotSeal } from '../agents/snapshot-seal.ts';
import type { Database } from '../database/connect.ts';
import { recovering } from '../database/recovering.ts';
import { withLock } from '../database/with-lock.ts';
import { errorMessage } from '../errors.ts';
import type { HetznerClient, Snapshot } from '../hetzner/hetzner.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { Log } from '../log.ts';
import { type Repeating, repeatEvery } from '../processes/repeat.ts';

export interface SealDeps {
  database: Database;
  /** The Hetzner projects by name. */
  projects: ReadonlyMap<string, Pick<HetznerClient, 'getSnapshot' | 'setSnapshotLabels'>>;
  seal: Pick<SnapshotSeal, 'seal'>;
  keyring: Keyring;
  log: Log;
}

const LOOK_SECONDS = 5;
/** Each takes one or two calls of Hetzner's quota of one a second. */
const AT_ONCE = 2;
const RETRY_SECONDS = 3600;

/**
 * Keeps in the labels of each complete snapshot, sealed with the present passphrase, whose disk it is. A new
 * one has its seal from its making on; what an earlier version made, or another passphrase sealed, gets it
 * here. A kill between the write and its row repeats the look, which finds the labels as they should be.
 */
export function startKeepingSeals(deps: SealDeps, lookSeconds = LOOK_SECONDS): Repeating {
  const look = async () => {
    try {
      await keepSeals(deps);
    } catch (error) {
      const text = 'could not keep the seals of the agents’ snapshots';
      deps.log.warn({ event: 'seals.look_failed', error: errorMessage(error) }, text);
    }
  };
  return repeatEvery(lookSeconds, look);
}

/** Seals what is due, a few at most. @returns how many were looked at; none while another worker does */
export async function keepSeals(deps: SealDeps): Promise<number> {
  if ((await findDue(deps)).length === 0) return 0;
  return withLock(deps.database, 'snapshot-seals', {
    work: async () => {
      const due = await findDue(deps);
      for (const one of due) await keepOne(deps, one);
      return due.length;
    },
    taken: () => 0,
  });
}

interface Due {
  snapshotId: string;
  agentId: string;
  project: string;
  operationId: string | undefined;
  hetznerId: string;
  serverId: string | null;
  why: string;
  tailnetNodeId: string | null;
}

/** While a database recovers none is: its rows may say what is no longer so. */
async function findDue({ database, keyring }: SealDeps): Promise<Due[]> {
  const { rows } = await sql<Due>`
    select s.snapshot_id::text as "snapshotId", agent_id as "agentId", a.project,
      a.inputs ->> 'operationId' as "operationId", s.hetzner_id as "hetznerId", s.server_id as "serverId", s.why,
      s.tailnet_node_id as "tailnetNodeId"
    from agent_snapshots s join agents a using (agent_id)
    where s.status = 'available' and s.sealed_with is distinct from ${keyring.sealing.id}
      and coalesce(s.seal_retry_at <= now(), true) and not ${recovering}
    order by s.made_at desc limit ${AT_ONCE}`.execute(database);
  return rows;
}

async function keepOne(deps: SealDeps, due: Due): Promise<void> {
  // Before the seal: one that another key has made meanwhile is looked at again.
  const keyId = deps.keyring.sealing.id;
  const { snapshotId, agentId } = due;
  try {
    await sealOne(deps, due);
    await sql`update agent_snapshots set sealed_with = ${keyId}, seal_retry_at = null
      where snapshot_id = ${snapshotId}`.execute(deps.database);
  } catch (error) {
    const told = { event: 'snapshot.not_sealed', agentId, snapshotId, error: errorMessage(error) };
    deps.log.warn(told, 'the labels of a snapshot could not be sealed');
    await sql`update agent_snapshots set seal_retry_at = now() + make_interval(secs => ${RETRY_SECONDS})
      where snapshot_id = ${snapshotId}`.execute(deps.database);
  }
}

/** @throws Error if it is missing, or not made from the server that the row names: then nothing is written */
async function sealOne({ projects, seal }: SealDeps, due: Due): Promise<void> {
  const { snapshotId, agentId, operationId, hetznerId, serverId, why, tailnetNodeId } = due;
  const hetzner = projects.get(due.project);
  if (hetzner === undefined) throw new Error(`This worker does not know the Hetzner project ${due.project}`);
  const image = await hetzner.getSnapshot(hetznerId);
  if (image === undefined) throw new Error(`Snapshot ${hetznerId} is not at Hetzner`);
  if (serverId === null || image.serverId !== serverId)
    throw new Error(`Snapshot ${hetznerId} was made from server ${image.serverId}, and not from ${serverId}`);
  // A hibernation's, kept as the last one of a destroyed agent: no row is ever made of its labels.
  if (image.name !== agentSnapshotName(agentId)) return;
  const facts = { snapshotId, why, tailnetNodeId };
  const correct = correctAgentSnapshotLabels(image.labels, { agentId, operationId }, facts);
  const labels = await seal.seal(correct, serverId);
  if (!hasLabels(image, labels)) await hetzner.setSnapshotLabels(hetznerId, labels);
}

const hasLabels = ({ labels }: Snapshot, wanted: Readonly<Record<string, string>>) =>
  Object.keys(labels).length === Object.keys(wanted).length &&
  Object.entries(wanted).every(([key, value]) => labels[key] === value);
