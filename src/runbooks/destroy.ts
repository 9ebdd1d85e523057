import type { Vault } from '../agents/secrets.ts';
import { RetryableError } from '../errors.ts';
import type { Run, Runbook } from '../operations/attempt.ts';
import { poll } from '../processes/poll.ts';
import type { StackEngine } from '../pulumi/engine/stack-engine.ts';
import type { StateStore } from '../pulumi/state-store.ts';
import {
  type Clouds,
  findOwned,
  listOwnDevices,
  removeFromHetzner,
  removeFromTailnet,
  withLockRecovery,
} from './steps/recovery.ts';

export interface DestroyDeps extends Clouds {
  executor: StackEngine;
  state: StateStore;
  vault: Pick<Vault, 'joinName'>;
  /** How long the clouds may take to be rid of what was deleted. */
  goneWithinSeconds?: number;
}

/** Everything of an agent goes, for good: server, keys, device, stack, history and locks. */
export function createDestroy(deps: DestroyDeps): Runbook {
  return async (run) => {
    await removeEverything(deps, run);
    return { kind: 'destroyed' };
  };
}

/** After the last failed try of a provision: everything billed goes, the failed agent stays and can be provisioned again. */
export function createRollback(deps: DestroyDeps): Runbook {
  return async (run) => {
    // Asked to be provisioned again, or destroyed, since: what there is belongs to that operation.
    if (run.agent.status !== 'failed') return { kind: 'none' };
    await removeEverything(deps, run);
    return { kind: 'rolled-back' };
  };
}

async function removeEverything(deps: DestroyDeps, run: Run): Promise<void> {
  run.step('deleting_resources');
  const { stack_name: stackName } = run.agent;
  await withLockRecovery(deps.executor, run, stackName, () => deps.executor.destroy(run, stackName));
  run.step('removing_device');
  await removeFromHetzner(deps.hetzner, run);
  await removeFromTailnet(deps, run);
  run.step('removing_state');
  await deps.state.forget(run.agent.stack_name);
  run.step('verifying');
  await untilGone(deps, run, deps.goneWithinSeconds ?? GONE_WITHIN_SECONDS);
}

const GONE_WITHIN_SECONDS = 60;
const LOOK_MS = 1_000;

/**
 * The clouds are asked once more: what was deleted must be gone, or the operation has not succeeded. Hetzner deletes in
 * its own time, so it is given some.
 */
async function untilGone(clouds: DestroyDeps, run: Run, seconds: number): Promise<void> {
  let left: string[] = [];
  const isGone = async () => {
    left = await findLeft(clouds, run);
    return left.length === 0 || undefined;
  };
  const polling = { intervalMs: LOOK_MS, timeoutMs: seconds * 1000, signal: run.signal };
  if ((await poll(isGone, polling)) === undefined)
    throw new RetryableError(`Still there after the delete: ${left.join(', ')}`);
}

async function findLeft(deps: DestroyDeps, run: Run): Promise<string[]> {
  const [{ servers, sshKeys }, devices] = await Promise.all([
    findOwned(deps.hetzner, run),
    listOwnDevices(deps, run.agent),
  ]);
  return [
    ...servers.map((server) => `server ${server.name}`),
    ...sshKeys.map((key) => `SSH key ${key.name}`),
    ...devices.map((device) => `tailnet device ${device.name}`),
  ];
}
