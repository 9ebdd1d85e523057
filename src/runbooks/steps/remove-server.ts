import type { AgentInputs } from '../../../stacks/inputs.ts';
import type { AgentKeys } from '../../agents/secrets.ts';
import { RetryableError } from '../../errors.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import { poll } from '../../processes/poll.ts';
import { toProgram } from './agent-program.ts';
import { findResources, lookUpServer } from './own-server.ts';
import { assertHeld, withLockRecovery } from './recovery.ts';

const GONE_WITHIN_SECONDS = 60;

/**
 * Removes the server from the stack and from Hetzner, where a state may have lacked it.
 * `inputs`: those of a hibernated agent.
 * @returns when Hetzner answered that it is gone
 * @throws RetryableError if it is still there at the end
 */
export async function removeServer(
  parts: RunbookParts,
  attempt: Attempt,
  { inputs, keys, mayBeNew }: { inputs: AgentInputs; keys: AgentKeys; mayBeNew: boolean },
): Promise<Date> {
  const program = toProgram(inputs, keys, await findResources(parts.hetzner, attempt.agent));
  await withLockRecovery(parts.executor, attempt, attempt.agent.stack_name, () =>
    parts.executor.up(attempt, program, { mayBeNew, keys }),
  );
  const left = await lookUpServer(parts.hetzner, attempt.agent);
  if (left !== undefined && left.status !== 'deleting') {
    assertHeld(attempt);
    await parts.hetzner.deleteServer(left.id, { wait: true });
    attempt.log(`deleted server ${left.name} (${left.id}), which the stack lacked`);
  }
  const isGone = async () =>
    (await lookUpServer(parts.hetzner, attempt.agent)) === undefined ? new Date() : undefined;
  const timeoutMs = (parts.goneWithinSeconds ?? GONE_WITHIN_SECONDS) * 1000;
  const gone = await poll(isGone, { intervalMs: 1_000, timeoutMs, signal: attempt.signal });
  if (gone === undefined) throw new RetryableError('The server is still being deleted at Hetzner');
  return gone;
}
