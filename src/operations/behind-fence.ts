import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Fence } from '../pulumi/fence.ts';
import type { Attempt } from './attempt.ts';
import { persist } from './persist.ts';
import { type OwnedWork, standInAgent, standInOperation } from './stand-in.ts';

/** Records how the work has ended, under its attempt's number. @throws LostError */
export type RecordEnd = () => Promise<void>;

/**
 * Does work that is no operation behind the fence, as an operation's attempt does: `work` gets an attempt in
 * which `owned` takes the place of the agent's and the operation's rows. `what`: what it works on, for the
 * log. The end that `work` returns is recorded once the login is closed: work that has ended has no next
 * attempt, which would close what a kill in between had left open. After such a kill the work is repeated.
 */
export async function behindFence(
  { fence, log, what }: { fence: Fence; log: Log; what: string },
  owned: OwnedWork,
  held: Pick<Attempt, 'signal' | 'lease' | 'step' | 'log'>,
  work: (run: Attempt) => Promise<RecordEnd>,
): Promise<void> {
  const { ownerId: agentId, work_id: operationId, attempt } = owned;
  const entry = await fence.enter({ agentId, operationId, attempt });
  const rows = { operation: standInOperation(owned), agent: standInAgent(owned) };
  let recordEnd: RecordEnd;
  try {
    held.signal.throwIfAborted();
    recordEnd = await work({ ...held, ...rows, backendUrl: entry.backendUrl });
  } finally {
    await persist(held.lease, () => entry.leave()).catch((error: unknown) =>
      log.warn(
        { event: 'fence.leave_failed', error: errorMessage(error) },
        `could not close ${what}’s login`,
      ),
    );
  }
  await persist(held.lease, recordEnd);
}
