import { setTimeout as sleep } from 'node:timers/promises';
import type { StackProgram } from '../../../stacks/program.ts';
import { RetryableError } from '../../errors.ts';
import type { Run } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import {
  findOwned,
  listOwnDevices,
  removeFromHetzner,
  removeFromTailnet,
  withLockRecovery,
} from './recovery.ts';

/** Removes everything of an agent: server, keys, device, stack, history and locks. @throws RetryableError */
export async function removeEverything(deps: RunbookParts, run: Run): Promise<void> {
  run.step('deleting_resources');
  const program = destroyProgram(run);
  await withLockRecovery(deps.executor, run, program, () => deps.executor.destroy(run, program));
  run.step('removing_device');
  await removeFromHetzner(deps.hetzner, run);
  await removeFromTailnet(deps, run);
  run.step('removing_state');
  await deps.state.forget(run.agent.stack_name);
  run.step('verifying');
  await untilGone(deps, run, deps.goneWithinSeconds ?? GONE_WITHIN_SECONDS);
}

/** A destroy does not run the stack's program; the name is all it takes. */
function destroyProgram(run: Run): StackProgram {
  const inputs = { ...run.agent.inputs, agentId: run.agent.agent_id };
  return {
    stack: 'agent',
    inputs: inputs as unknown as Extract<StackProgram, { stack: 'agent' }>['inputs'],
    secrets: { hostPrivateKey: '' },
  };
}

const GONE_WITHIN_SECONDS = 60;
const LOOK_MS = 1_000;

/**
 * The clouds are asked once more: what was deleted must be gone, or the operation has not succeeded. Hetzner deletes in
 * its own time, so it is given some.
 */
async function untilGone(clouds: RunbookParts, run: Run, seconds: number): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const left = await findLeft(clouds, run);
    if (left.length === 0) return;
    if (Date.now() >= deadline) throw new RetryableError(`Still there after the delete: ${left.join(', ')}`);
    await sleep(LOOK_MS, undefined, { signal: run.signal });
  }
}

async function findLeft(deps: RunbookParts, run: Run): Promise<string[]> {
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
