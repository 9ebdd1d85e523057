import { RetryableError } from '../../errors.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import { poll } from '../../processes/poll.ts';
import {
  findOwned,
  listOwnDevices,
  removeFromHetzner,
  removeFromTailnet,
  withLockRecovery,
} from './recovery.ts';

/**
 * Removes everything an agent has: server, keys, device, stack, history and locks.
 * @throws RetryableError if something is still there at the end
 */
export async function removeEverything(parts: RunbookParts, attempt: Attempt): Promise<void> {
  attempt.step('deleting_resources');
  const { stack_name: stackName } = attempt.agent;
  await withLockRecovery(parts.executor, attempt, stackName, () =>
    parts.executor.destroy(attempt, stackName),
  );
  attempt.step('removing_device');
  await removeFromHetzner(parts.hetzner, attempt);
  await removeFromTailnet(parts, attempt);
  attempt.step('removing_state');
  await parts.state.forget(stackName);
  attempt.step('verifying');
  await untilGone(parts, attempt, parts.goneWithinSeconds ?? GONE_WITHIN_SECONDS);
}

const GONE_WITHIN_SECONDS = 60;
const INTERVAL_MS = 1_000;

/** Waits until the clouds no longer list the deleted resources. Hetzner deletes asynchronously. */
async function untilGone(clouds: RunbookParts, attempt: Attempt, seconds: number): Promise<void> {
  let left: string[] = [];
  const isGone = async () => {
    left = await findLeft(clouds, attempt);
    return left.length === 0 || undefined;
  };
  const polling = { intervalMs: INTERVAL_MS, timeoutMs: seconds * 1000, signal: attempt.signal };
  if ((await poll(isGone, polling)) === undefined)
    throw new RetryableError(`Still there after the delete: ${left.join(', ')}`);
}

async function findLeft(parts: RunbookParts, attempt: Attempt): Promise<string[]> {
  const [{ servers, sshKeys, snapshots }, devices] = await Promise.all([
    findOwned(parts.hetzner, attempt),
    listOwnDevices(parts, attempt.agent),
  ]);
  return [
    ...servers.map((server) => `server ${server.name}`),
    ...sshKeys.map((key) => `SSH key ${key.name}`),
    ...snapshots.map((snapshot) => `snapshot ${snapshot.id}`),
    ...devices.map((device) => `tailnet device ${device.name}`),
  ];
}
