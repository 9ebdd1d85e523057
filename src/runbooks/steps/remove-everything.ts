import { setTimeout as sleep } from 'node:timers/promises';
import type { StackProgram } from '../../../stacks/program.ts';
import { RetryableError } from '../../errors.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import {
  findOwned,
  listOwnDevices,
  removeFromHetzner,
  removeFromTailnet,
  withLockRecovery,
} from './recovery.ts';

/** Removes everything of an agent: server, keys, device, stack, history and locks. @throws RetryableError */
export async function removeEverything(parts: RunbookParts, attempt: Attempt): Promise<void> {
  attempt.step('deleting_resources');
  const program = destroyProgram(attempt);
  await withLockRecovery(parts.executor, attempt, program, () => parts.executor.destroy(attempt, program));
  attempt.step('removing_device');
  await removeFromHetzner(parts.hetzner, attempt);
  await removeFromTailnet(parts, attempt);
  attempt.step('removing_state');
  await parts.state.forget(attempt.agent.stack_name);
  attempt.step('verifying');
  await untilGone(parts, attempt, parts.goneWithinSeconds ?? GONE_WITHIN_SECONDS);
}

/** A destroy does not run the stack's program; the name is all it takes. */
function destroyProgram(attempt: Attempt): StackProgram {
  const inputs = { ...attempt.agent.inputs, agentId: attempt.agent.agent_id };
  return {
    stack: 'agent',
    inputs: inputs as unknown as Extract<StackProgram, { stack: 'agent' }>['inputs'],
    secrets: { hostPrivateKey: '' },
  };
}

const GONE_WITHIN_SECONDS = 60;
const LOOK_MS = 1_000;

/**
 * The clouds are asked once more: what was deleted must be gone, or the operation has not succeeded. Hetzner
 * deletes in its own time, so it is given some.
 */
async function untilGone(clouds: RunbookParts, attempt: Attempt, seconds: number): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const left = await findLeft(clouds, attempt);
    if (left.length === 0) return;
    if (Date.now() >= deadline) throw new RetryableError(`Still there after the delete: ${left.join(', ')}`);
    await sleep(LOOK_MS, undefined, { signal: attempt.signal });
  }
}

async function findLeft(parts: RunbookParts, attempt: Attempt): Promise<string[]> {
  const [{ servers, sshKeys }, devices] = await Promise.all([
    findOwned(parts.hetzner, attempt),
    listOwnDevices(parts, attempt.agent),
  ]);
  return [
    ...servers.map((server) => `server ${server.name}`),
    ...sshKeys.map((key) => `SSH key ${key.name}`),
    ...devices.map((device) => `tailnet device ${device.name}`),
  ];
}
