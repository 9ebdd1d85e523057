import { type AgentInputs, agentName } from '../../../stacks/inputs.ts';
import type { StackProgram } from '../../../stacks/program.ts';
import type { Vault } from '../../agents/secrets.ts';
import { LostError } from '../../errors.ts';
import type { HetznerClient, HetznerServer } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { StackEngine } from '../../pulumi/engine/stack-engine.ts';
import { StackLockedError, StackNotFoundError } from '../../pulumi/errors.ts';
import type { TailnetDevice, TailscaleClient } from '../../tailscale/tailscale.ts';
import { isAgentDevice, isRecordedDevice } from './device.ts';
import { agentLabels, isAnothers, isMarked, isOwnKey } from './own-server.ts';

/**
 * Runs something on a stack; where a dead process has left the stack locked, the lock is taken away and it is run again.
 * The lease makes sure that nobody else works on the stack: a lock that is there belongs to a process that has been ended.
 */
export async function withLockRecovery<T>(
  executor: StackEngine,
  run: Attempt,
  program: StackProgram,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StackLockedError)) throw error;
    run.log('The stack is locked by a process that is gone: taking the lock away');
    await executor.unlock(run, program);
    return work();
  }
}

/**
 * Before another attempt on a stack: whatever a killed run had begun to create is cleared from the state.
 * @returns whether the stack exists.
 */
export async function clearPending(
  executor: StackEngine,
  run: Attempt,
  program: StackProgram,
): Promise<boolean> {
  try {
    await withLockRecovery(executor, run, program, () => executor.refresh(run, program));
    return true;
  } catch (error) {
    if (error instanceof StackNotFoundError) return false;
    throw error;
  }
}

/** Pulumi's state of an agent as the clouds are now, e.g. after its server was switched off. @throws StackNotFoundError */
export async function bringUpToDate(executor: StackEngine, run: Attempt): Promise<void> {
  const inputs = run.agent.inputs as unknown as AgentInputs;
  const program: StackProgram = { stack: 'agent', inputs, secrets: { hostPrivateKey: '' } };
  await withLockRecovery(executor, run, program, () => executor.refresh(run, program));
}

export interface Clouds {
  hetzner: HetznerClient;
  tailscale: TailscaleClient;
}

/**
 * Before everything that the worker itself does to a cloud: one that was stopped and continued would otherwise delete, or switch off, what
 * a later attempt has made in the meantime. @throws LostError
 */
export function assertHeld(run: Attempt): void {
  run.signal.throwIfAborted();
  if (Date.now() > run.lease.until) throw new LostError('The lease ran out');
}

export interface TailnetDeps {
  tailscale: TailscaleClient;
  vault: Pick<Vault, 'joinName'>;
}

/** Removes the agent's tailnet keys and devices: devices are in no stack, and a half-made key is in no state. */
export async function removeFromTailnet(deps: TailnetDeps, run: Attempt): Promise<void> {
  await removeDevices(deps, run);
  await removeKeys(deps.tailscale, run);
}

/** Takes the agent's devices off the tailnet, for good: a machine that still runs cannot come back with what it knows. */
export async function removeDevices(deps: TailnetDeps, run: Attempt): Promise<void> {
  for (const device of await listOwnDevices(deps, run.agent)) {
    assertHeld(run);
    await deps.tailscale.deleteDevice(device.nodeId);
    run.log(`deleted tailnet device ${device.name}`);
  }
}

/** Every attempt of a rebuild makes one; a row that names more has been told so, and must not keep a worker busy. */
const MOST_GENERATIONS = 1_000;

/**
 * The devices that are this agent's: the recorded one, whatever it is called by now, and those that a failed
 * or killed attempt has left, which joined under names that nobody else can guess. A device with the agent's
 * readable name alone may be anybody's.
 */
export async function listOwnDevices(
  { tailscale, vault }: TailnetDeps,
  agent: Attempt['agent'],
): Promise<TailnetDevice[]> {
  const inputs = agent.inputs as unknown as Partial<AgentInputs> | null;
  const names = new Set(inputs?.joinName === undefined ? [] : [inputs.joinName]);
  const last = inputs?.keyGeneration ?? 0;
  for (let generation = Math.max(1, last - MOST_GENERATIONS + 1); generation <= last; generation++)
    names.add(vault.joinName(agent.agent_id, generation));
  return (await tailscale.listDevices()).filter(
    (device) => isRecordedDevice(agent, device) || (isAgentDevice(device) && names.has(device.hostname)),
  );
}

/** Revokes the agent's tailnet keys, but for the one of the generation to keep. */
export async function removeKeys(
  tailscale: TailscaleClient,
  run: Attempt,
  { keep }: { keep?: number } = {},
): Promise<void> {
  const name = agentName(run.agent.agent_id);
  for (const key of await tailscale.listKeys()) {
    if (key.description?.replace(/ \d+$/, '') !== name || key.description === `${name} ${keep}`) continue;
    assertHeld(run);
    await tailscale.deleteKey(key.id);
    run.log(`revoked tailnet key ${key.description}`);
  }
}

/**
 * Removes what is the agent's at Hetzner and no stack knows any more. What only carries its labels is left
 * alone, and said.
 */
export async function removeFromHetzner(hetzner: HetznerClient, run: Attempt): Promise<void> {
  const { servers, sshKeys, strange } = await findOwned(hetzner, run);
  for (const server of servers) {
    assertHeld(run);
    await hetzner.deleteServer(String(server.id));
    run.log(`deleted server ${server.name} (${server.id})`);
  }
  for (const key of sshKeys) {
    assertHeld(run);
    await hetzner.deleteSshKey(String(key.id));
    run.log(`deleted SSH key ${key.name} (${key.id})`);
  }
  for (const { name, id } of strange)
    run.log(`${name} (${id}) has the name or the labels of this agent's, but is not its own: left alone`);
}

/**
 * The agent's own servers and keys, with or without labels, and what has its name or its labels and is not
 * its own.
 */
export async function findOwned(hetzner: HetznerClient, { agent }: Pick<Attempt, 'agent'>) {
  const labels = agentLabels(agent.agent_id);
  const name = agentName(agent.agent_id);
  const [recorded, ...found] = await Promise.all([
    agent.server_id === null ? undefined : hetzner.getServer(agent.server_id),
    hetzner.findServer(name),
    hetzner.findSshKey(name),
    hetzner.listServers(labels),
    hetzner.listSshKeys(labels),
  ]);
  const [server, key, servers, keys] = found;
  const isOwn = (one: HetznerServer) =>
    isMarked(one, agent) || (one.id === recorded?.id && !isAnothers(one, agent));
  const allServers = distinct([recorded, server, ...servers]);
  const allKeys = distinct([key, ...keys]);
  return {
    servers: allServers.filter(isOwn),
    sshKeys: allKeys.filter((one) => isOwnKey(one, agent)),
    strange: [...allServers.filter((one) => !isOwn(one)), ...allKeys.filter((one) => !isOwnKey(one, agent))],
  };
}

function distinct<T extends { id: number }>(items: readonly (T | undefined)[]): T[] {
  return [...new Map(items.flatMap((one) => (one === undefined ? [] : [[one.id, one]]))).values()];
}
