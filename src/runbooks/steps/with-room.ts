import { getFailureCode, LIMIT_REACHED, ShortageError } from '../../errors.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';

/**
 * Runs what creates a server for a customer. Where the Hetzner project is full, a server of the pool is
 * removed, and the operation waits for its place, as long as any of the pool may have one. Without one an
 * agent that has nothing yet waits for the next attempt, which begins in another project (`move-project.ts`).
 * @throws ShortageError, and errors of `work`
 */
export async function withRoom<T>(
  { slots, projects }: Pick<RunbookParts, 'slots' | 'projects'>,
  attempt: Attempt,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (getFailureCode(error) !== LIMIT_REACHED) throw error;
    await projects?.markFull(attempt);
    const full = `The Hetzner project ${attempt.agent.project} has as many servers as it may have`;
    if ((await slots?.makeRoom(attempt)) === true)
      throw new ShortageError(`${full}; one of the pool makes room`, { cause: error });
    const other = mayMove(attempt) ? await projects?.findOther(attempt) : undefined;
    if (other === undefined) throw error;
    throw new ShortageError(`${full}; the next attempt uses ${other}`, { cause: error });
  }
}

/** A hibernated agent is where its snapshot is. */
const mayMove = ({ agent, operation }: Attempt) => operation.kind === 'provision' && agent.server_id === null;
