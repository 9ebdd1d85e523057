import type { AgentInputs } from '../../../stacks/inputs.ts';
import { completeInputs } from '../../agents/inputs.ts';
import type { AgentOutputs } from '../../agents/outputs.ts';
import { type AgentKeys, generateAgentKeys, type Vault } from '../../agents/secrets.ts';
import type { AgentRow } from '../../agents/store.ts';
import { errorMessage, LostError, RetryableError } from '../../errors.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import type { ClaimedSlot } from '../../slots/claimed.ts';
import type { HealthCheck } from '../../tailnet/agent-health.ts';
import type { HandOver } from '../../tailnet/hand-over.ts';

/** File and healthy answer together. After that the order goes the cold way. */
export const HAND_OVER_SECONDS = 4;

/** What an agent takes over from its slot. */
export interface TakenOver {
  inputs: AgentInputs;
  keys: AgentKeys;
  /** The keys, sealed for the agent's id. */
  secrets: Buffer;
}

/**
 * Derives what becomes the agent's from the slot, with a new host key, which the hand-over installs. An
 * attempt after a kill takes what an earlier one has recorded, because the server may have that host key.
 */
export function takeFromSlot(
  vault: Vault,
  agent: Pick<AgentRow, 'agent_id' | 'inputs' | 'secrets'>,
  slot: Pick<ClaimedSlot, 'slotId' | 'inputs' | 'secrets'>,
): TakenOver {
  const { agent_id: agentId, inputs: recorded, secrets: sealed } = agent;
  if (recorded !== null && sealed !== null)
    return {
      inputs: completeInputs(agentId, recorded),
      keys: vault.open(agentId, sealed),
      secrets: sealed,
    };
  const old = vault.open(slot.slotId, slot.secrets);
  const { nextHostPrivateKey, nextHostPublicKey } = generateAgentKeys(agentId);
  const keys = {
    ...old,
    hostPrivateKey: old.nextHostPrivateKey,
    hostPublicKey: old.nextHostPublicKey,
    nextHostPrivateKey,
    nextHostPublicKey,
  };
  const inputs = { ...slot.inputs, agentId, hostPublicKey: keys.hostPublicKey };
  return { inputs, keys, secrets: vault.seal(agentId, keys) };
}

/** Gives the server its agent, and waits for a healthy answer that does not name another. */
export async function handOver(
  deps: { handOver: HandOver; health: HealthCheck },
  { slot, taken, signal }: { slot: ClaimedSlot; taken: TakenOver; signal: AbortSignal },
): Promise<AgentOutputs> {
  const { inputs, keys } = taken;
  const { agentId, healthPort } = inputs;
  const { tailnetIp } = slot.outputs;
  const own = AbortSignal.any([signal, AbortSignal.timeout(HAND_OVER_SECONDS * 1000)]);
  await deps.handOver(tailnetIp, { ...keys, agentId, healthPort }, own);
  await deps.health.untilHealthy(tailnetIp, { agentId, timeoutSeconds: HAND_OVER_SECONDS, signal: own });
  return slot.outputs;
}

/**
 * Hands the agent's slot over, if it has claimed one. If that fails the slot is taken away from it, unless
 * this process cannot reach any server.
 * @returns the outputs, or the agent as it is without a slot
 * @throws RetryableError in that case: the next attempt hands it over
 */
export async function tryHandOver(
  parts: RunbookParts,
  attempt: Attempt,
): Promise<{ outputs: AgentOutputs } | { agent: AgentRow }> {
  const { agent } = attempt;
  const slot = await parts.slots?.find(attempt);
  if (parts.slots === undefined || slot === undefined) return { agent };
  attempt.step('handing_over');
  try {
    const taken = takeFromSlot(parts.vault, agent, slot);
    await parts.slots.takeOver(attempt, { slotId: slot.slotId, ...taken });
    const deps = { handOver: parts.slots.handOver, health: parts.health };
    return { outputs: await handOver(deps, { slot, taken, signal: attempt.signal }) };
  } catch (error) {
    attempt.signal.throwIfAborted();
    if (error instanceof LostError) throw error;
    if (!(await parts.slots.canReach()))
      throw new RetryableError(`This worker cannot reach servers: ${errorMessage(error)}`, { cause: error });
    const why = `The server that waited could not be handed over: ${errorMessage(error)}`;
    attempt.log(`${why}. Making one`);
    await parts.slots.giveUp(attempt, why);
    return { agent: { ...agent, inputs: null, secrets: null } };
  }
}
