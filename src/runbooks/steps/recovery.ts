import type { Vault } from '../../agents/secrets.ts';
import { LostError } from '../../errors.ts';
import type { HetznerClient } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { EngineAttempt, StackEngine } from '../../pulumi/engine/stack-engine.ts';
import { StackLockedError, StackNotFoundError } from '../../pulumi/errors.ts';
import type { TailnetDevice, TailscaleClient } from '../../tailscale/tailscale.ts';
import { isAgentDevice, isRecordedDevice } from './device.ts';
import { ownName } from './own-server.ts';
import { leaveToList } from './own-snapshots.ts';
import { findOwned } from './owned.ts';

/**
 * Runs work on a stack. If the stack is locked, removes the lock and tries again: this attempt holds the
 * lease, so the process that locked it is dead.
 */
export async function withLockRecovery<T>(
  executor: Pick<StackEngine, 'unlock'>,
  run: EngineAttempt,
  stackName: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StackLockedError)) throw error;
    run.log('The stack is locked by a process that is gone: removing the lock');
    await executor.unlock(run, stackName);
    return work();
  }
}

/**
 * Removes from the state what a killed attempt had begun to create.
 * @returns whether the stack exists
 */
export async function clearPending(
  executor: StackEngine,
  run: Attempt,
  stackName = run.agent.stack_name,
): Promise<boolean> {
  try {
    await withLockRecovery(executor, run, stackName, () => executor.refresh(run, stackName));
    return true;
  } catch (error) {
    if (error instanceof StackNotFoundError) return false;
    throw error;
  }
}

/**
 * Updates an agent's state from the clouds, e.g. after its server was switched off.
 * @throws StackNotFoundError
 */
export async function bringUpToDate(executor: StackEngine, run: Attempt): Promise<void> {
  const { stack_name: stackName } = run.agent;
  await withLockRecovery(executor, run, stackName, () => executor.refresh(run, stackName));
}

export interface Clouds {
  hetzner: Omit<HetznerClient, 'serverPage' | 'sshKeyPage' | 'snapshotPage'>;
  tailscale: TailscaleClient;
}

/**
 * Called before each change that the worker itself makes at a cloud: a paused and resumed worker must not
 * delete or switch off what a later attempt has created.
 * @throws LostError if the lease has expired
 */
export function assertHeld(run: Attempt): void {
  run.signal.throwIfAborted();
  if (Date.now() > run.lease.until) throw new LostError('The lease ran out');
}

export interface TailnetDeps {
  tailscale: TailscaleClient;
  vault: Pick<Vault, 'joinNames'>;
}

/** Removes the agent's tailnet devices, which no stack contains, and its keys, which a state may lack. */
export async function removeFromTailnet(deps: TailnetDeps, run: Attempt): Promise<void> {
  await removeDevices(deps, run);
  await removeKeys(deps.tailscale, run);
}

/** Removes the agent's devices from the tailnet. A machine that still runs cannot rejoin. */
export async function removeDevices(deps: TailnetDeps, run: Attempt): Promise<void> {
  for (const device of await listOwnDevices(deps, run.agent)) {
    assertHeld(run);
    await deps.tailscale.deleteDevice(device.nodeId);
    run.log(`deleted tailnet device ${device.name}`);
  }
}

/** Each attempt of a rebuild adds one. A wrong row with a huge number must not keep a worker busy. */
const MOST_GENERATIONS = 1_000;

/**
 * Lists the agent's own devices: the recorded one, even if renamed, and those of failed or killed attempts,
 * which joined under unguessable names. A device with just the agent's readable name may be anyone's.
 */
export async function listOwnDevices(
  { tailscale, vault }: TailnetDeps,
  agent: Attempt['agent'],
): Promise<TailnetDevice[]> {
  const { joinName, keyGeneration: last = 0 } = agent.inputs ?? {};
  const names = new Set(joinName === undefined ? [] : [joinName]);
  for (let generation = Math.max(1, last - MOST_GENERATIONS + 1); generation <= last; generation++)
    for (const name of vault.joinNames(agent.agent_id, generation)) names.add(name);
  return (await tailscale.listDevices()).filter(
    (device) => isRecordedDevice(agent, device) || (isAgentDevice(device) && names.has(device.hostname)),
  );
}

/** Revokes the agent's tailnet keys, except the one of generation `keep`. */
export async function removeKeys(
  tailscale: TailscaleClient,
  run: Attempt,
  { keep }: { keep?: number } = {},
): Promise<void> {
  const name = ownName(run.agent);
  for (const key of await tailscale.listKeys()) {
    if (key.description?.replace(/ \d+$/, '') !== name || key.description === `${name} ${keep}`) continue;
    assertHeld(run);
    await tailscale.deleteKey(key.id);
    run.log(`revoked tailnet key ${key.description}`);
  }
}

/**
 * Removes the agent's resources at Hetzner that no stack contains, but the snapshot that is kept. Keeps and
 * logs doubtful ones.
 * @returns when Hetzner answered that there was nothing to remove, as ISO 8601; undefined if something was
 * removed: whether it is gone has to be asked after that
 */
export async function removeFromHetzner(
  hetzner: Clouds['hetzner'],
  run: Attempt,
  kept?: string,
): Promise<string | undefined> {
  const { servers, sshKeys, snapshots, strange } = await findOwned(hetzner, run, kept);
  const answeredAt = new Date().toISOString();
  for (const server of servers) {
    assertHeld(run);
    await hetzner.deleteServer(server.id, { wait: false });
    run.log(`deleted server ${server.name} (${server.id})`);
  }
  for (const key of sshKeys) {
    assertHeld(run);
    await hetzner.deleteSshKey(key.id);
    run.log(`deleted SSH key ${key.name} (${key.id})`);
  }
  for (const one of snapshots) {
    const { name, id } = one;
    assertHeld(run);
    await hetzner.deleteSnapshot(id);
    run.log(`deleted snapshot ${id} of ${name}`);
    leaveToList(run.agent, one);
  }
  for (const { name, id } of strange)
    run.log(`${name} (${id}) has this agent's name, labels or recorded id, but is not its own: left alone`);
  return servers.length + sshKeys.length + snapshots.length === 0 ? answeredAt : undefined;
}
