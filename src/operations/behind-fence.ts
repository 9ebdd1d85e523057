import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Fence } from '../pulumi/fence.ts';
import type { Attempt } from './attempt.ts';
import { type OwnedWork, standInAgent, standInOperation } from './stand-in.ts';

/**
 * Does work that is no operation behind the fence, as an operation's attempt does: `work` gets an attempt in
 * which `owned` takes the place of the agent's and the operation's rows. `what`: what it works on, for the
 * log.
 */
export async function behindFence(
  { fence, log, what }: { fence: Fence; log: Log; what: string },
  owned: OwnedWork,
  held: Pick<Attempt, 'signal' | 'lease' | 'step' | 'log'>,
  work: (run: Attempt) => Promise<void>,
): Promise<void> {
  const { ownerId: agentId, work_id: operationId, attempt } = owned;
  const entry = await fence.enter({ agentId, operationId, attempt });
  const rows = { operation: standInOperation(owned), agent: standInAgent(owned) };
  try {
    held.signal.throwIfAborted();
    await work({ ...held, ...rows, backendUrl: entry.backendUrl });
  } finally {
    await entry
      .leave()
      .catch((error: unknown) =>
        log.warn(
          { event: 'fence.leave_failed', error: errorMessage(error) },
          `could not close ${what}’s login`,
        ),
      );
  }
}
