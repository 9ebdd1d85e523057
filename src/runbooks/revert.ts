import { z } from 'zod';
import type { AgentInputs } from '../../stacks/inputs.ts';
import { serverIdSchema } from '../../stacks/outputs.ts';
import { endReversion, markReverted } from '../agents/hibernation.ts';
import type { AgentKeys } from '../agents/secrets.ts';
import { errorMessage, PermanentError } from '../errors.ts';
import type { Server } from '../hetzner/hetzner.ts';
import type { Attempt } from '../operations/attempt.ts';
import { defineOperation } from '../operations/registry.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';
import { recorded } from './steps/agent-program.ts';
import { lookUpServer } from './steps/own-server.ts';
import { switchOff, switchOn } from './steps/power.ts';
import { assertHeld, clearPending, removeFromTailnet } from './steps/recovery.ts';
import { removeServer } from './steps/remove-server.ts';
import { noServer, soldOut } from './steps/server-choice.ts';
import { isComplete } from './steps/snapshots.ts';

const parameters = z.object({ snapshot: z.guid() });
const effect = z.object({ kind: z.literal('reverted'), snapshotId: serverIdSchema });

/**
 * Puts an agent back to one of its snapshots: deletes its server and leaves the agent as a hibernation does,
 * with the snapshot in the server's place. As nothing holds it, a wake follows by itself, which makes a
 * server of it. So at no moment there are two machines with the agent's identity. The snapshot stays.
 *
 * The server is off before the snapshot is recorded, and the record comes before its delete. From then on
 * every end leaves the agent hibernated, and a wake gets it running from what is there.
 */
export const revert = defineOperation<z.infer<typeof effect>>({
  kind: 'revert',
  rank: 71,
  from: ['running', 'stopped'],
  resumesFrom: ['hibernated'],
  // The same again, after a wake that could not.
  retryFrom: ['running', 'stopped', 'hibernated'],
  exclusive: true,
  runsAgent: true,
  takesFromCustomer: true,
  waitsUntouched: true,
  needsSnapshot: true,
  limitSeconds: 30 * 60,
  parameters,
  effect,
  succeed: (trx, agentId, { snapshotId }) => markReverted(trx, agentId, { snapshotId }),
  // Without a recorded snapshot, nothing has been proven.
  reported: () => ({ kind: 'none' }),
  lastFailure: ({ trx, agentId, error, step }) => endReversion(trx, agentId, { error, step }),
  cancel: ({ trx, agentId, error }) => endReversion(trx, agentId, { error }),
  cli: 'put it back to one of its snapshots; everything since then is lost',
  summary: 'Put the agent back to one of its snapshots; everything since then is lost',
  confirm: {
    loses: 'and lose everything since that snapshot',
    explain: () =>
      'This deletes its server and makes another one from the snapshot. Everything on its disk since then is lost, its ' +
      'public addresses change, and it is away for some minutes. The snapshot stays.',
  },
  run: (parts) => async (attempt) => {
    attempt.step('preparing');
    const target = await findTarget(parts, attempt);
    const server = await findServer(parts, attempt);
    const exists = await clearPending(parts.executor, attempt);
    if (server !== undefined) {
      attempt.step('stopping_server');
      await switchOff(parts, attempt, server);
    }
    assertHeld(attempt);
    await recordTarget(parts, attempt, { target, server });
    const { inputs, keys } = await takeIdentity(parts, attempt, target);
    attempt.step('deleting_server');
    const hibernated: AgentInputs = { ...inputs, hibernated: { snapshotId: target.snapshotId } };
    await removeServer(parts, attempt, { inputs: hibernated, keys, mayBeNew: !exists });
    return { kind: 'reverted', snapshotId: target.snapshotId };
  },
});

interface Target {
  /** Hetzner's id of it. */
  snapshotId: string;
  /** The keys of the disk, where the agent has others since. */
  keys: AgentKeys | undefined;
  /** Whether the agent has joined the tailnet as another device since. */
  hasOldDevice: boolean;
}

/** @throws PermanentError if the agent cannot be put back to it; nothing has been touched */
async function findTarget(parts: RunbookParts, attempt: Attempt): Promise<Target> {
  const { agent, operation } = attempt;
  const { snapshot: wanted } = parameters.parse(operation.parameters);
  const known = await parts.agentSnapshots?.find(attempt, wanted);
  if (known === undefined)
    throw new PermanentError(
      `Agent ${agent.agent_id} has no complete snapshot ${wanted}; nothing was touched`,
    );
  const snapshot = await parts.hetzner.getSnapshot(known.hetznerId);
  if (snapshot === undefined || !isComplete(snapshot))
    throw new PermanentError(`Snapshot ${wanted} is no longer at Hetzner; nothing was touched`);
  if (snapshot.serverId !== known.serverId)
    throw new PermanentError(
      `Snapshot ${wanted} was recorded as one of server ${known.serverId}, and Hetzner says that it was made from ${snapshot.serverId}: it may be another agent's disk. Nothing was touched`,
    );
  const hasOldDevice = known.tailnetNodeId !== agent.tailnet_node_id;
  if (hasOldDevice && known.secrets === undefined)
    throw new PermanentError(
      'The agent has other keys than the disk of this snapshot, which are not known here: a runner has none (use a worker with EXECUTOR=local), nor has a database that was rebuilt from the clouds. Nothing was touched',
    );
  const keys = known.secrets && parts.vault.open(agent.agent_id, known.secrets);
  return { snapshotId: snapshot.id, keys, hasOldDevice };
}

/**
 * The server, if it is still there. One that may not be deleted, or whose type is sold out, stays as it is.
 * @throws PermanentError, ShortageError
 */
async function findServer({ hetzner }: RunbookParts, { agent }: Attempt): Promise<Server | undefined> {
  const server = await lookUpServer(hetzner, agent);
  if (server === undefined || server.status === 'deleting') return undefined;
  if (server.isProtected)
    throw new PermanentError(
      `${server.name} is protected at Hetzner against delete; nothing has been touched. Remove the protection there, then request it again`,
    );
  const { plan, location, inputs } = agent;
  const serverType = inputs?.serverType ?? '';
  const offers = (await hetzner.findServerType(serverType))?.offers ?? [];
  if (offers.some((offer) => offer.location === location && !offer.isAvailable))
    throw noServer({ plan, location }, [soldOut(serverType)]);
  return server;
}

/**
 * From here on the snapshot is in the server's place. If it was given up meanwhile, nothing is deleted and an
 * agent that was running runs on.
 * @throws PermanentError
 */
async function recordTarget(
  parts: RunbookParts,
  attempt: Attempt,
  { target, server }: { target: Target; server: Server | undefined },
): Promise<void> {
  try {
    await parts.recordSnapshot(attempt, target.snapshotId);
  } catch (error) {
    if (!(error instanceof PermanentError) || server === undefined || attempt.agent.status !== 'running')
      throw error;
    await switchOn(parts, attempt, server).catch((failure: unknown) =>
      attempt.log(`${server.name} could not be switched on again: ${errorMessage(failure)}`),
    );
    throw error;
  }
}

/**
 * Gives the agent the keys that are on the snapshot's disk. If it has joined the tailnet again since, its
 * present device goes, so that the wake joins as another one: the snapshot's device is gone.
 */
async function takeIdentity(
  parts: RunbookParts,
  attempt: Attempt,
  { keys: former, hasOldDevice }: Target,
): Promise<{ inputs: AgentInputs; keys: AgentKeys }> {
  const { known, keys: present } = recorded(parts.vault, attempt);
  if (!hasOldDevice || former === undefined) return { inputs: known, keys: present };
  const inputs = { ...known, hostPublicKey: former.hostPublicKey };
  await parts.recordInputs(attempt, { inputs, secrets: parts.vault.seal(known.agentId, former) });
  await removeFromTailnet(parts, attempt);
  return { inputs, keys: former };
}
