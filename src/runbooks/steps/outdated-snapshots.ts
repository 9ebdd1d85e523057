import type { AgentInputs } from '../../../stacks/inputs.ts';
import type { AgentRow } from '../../agents/store.ts';
import type { Server, Snapshot } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import { recorded } from './agent-program.ts';
import { listOwnSnapshots } from './own-snapshots.ts';

/** Whether the snapshot's server may have run since it was made, and hold what is newer. */
export const isOutdated = ({ inputs }: Pick<AgentRow, 'inputs'>, { id }: Pick<Snapshot, 'id'>): boolean =>
  inputs?.hibernated?.outdated?.includes(id) === true;

/**
 * Returns what a hibernated agent's inputs say from the moment its server runs: every snapshot of this server
 * that exists now is outdated. An attempt that finds the server off later cannot see that it has run.
 */
export async function withOutdated(
  { hetzner }: Pick<RunbookParts, 'hetzner'>,
  { agent }: Attempt,
  { server, hibernated }: { server: Server; hibernated: AgentInputs['hibernated'] },
): Promise<AgentInputs['hibernated']> {
  const snapshotId = hibernated?.snapshotId ?? agent.snapshot_id;
  const own = await listOwnSnapshots({ hetzner }, agent);
  const outdated = own.filter(({ serverId }) => serverId === server.id).map(({ id }) => id);
  return snapshotId === null || outdated.length === 0 ? hibernated : { ...hibernated, snapshotId, outdated };
}

/** Records this for a hibernated agent's server that has run, before it is switched off. */
export async function recordOutdated(parts: RunbookParts, attempt: Attempt, server: Server): Promise<void> {
  const { hibernated } = recorded(parts.vault, attempt).known;
  await recordHibernated(parts, attempt, await withOutdated(parts, attempt, { server, hibernated }));
}

/**
 * Records that the server, which should have joined by itself, will be replaced: an interrupted attempt
 * forgets why, and the next one would switch it on and wait for it again.
 */
export const recordVerdict = (parts: RunbookParts, attempt: Attempt): Promise<void> =>
  recordHibernated(parts, attempt, recorded(parts.vault, attempt).known.hibernated);

/** Without a generation with which the server joins: it is about to be switched off for its snapshot. */
async function recordHibernated(
  parts: RunbookParts,
  attempt: Attempt,
  hibernated: AgentInputs['hibernated'],
): Promise<void> {
  const { known, keys } = recorded(parts.vault, attempt);
  const { joinGeneration, ...kept } = hibernated ?? {};
  const inputs = 'snapshotId' in kept ? { ...known, hibernated: kept } : known;
  await parts.recordInputs(attempt, { inputs, secrets: parts.vault.seal(inputs.agentId, keys) });
}
