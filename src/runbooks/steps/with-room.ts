import { getFailureCode, LIMIT_REACHED, ShortageError } from '../../errors.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';

/**
 * Runs what creates a server for a customer. Where the Hetzner project is full, a server that waits for
 * nobody yet is removed, and the operation waits for its place.
 * @throws ShortageError, and errors of `work`
 */
export async function withRoom<T>(
  { slots }: Pick<RunbookParts, 'slots'>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (getFailureCode(error) !== LIMIT_REACHED || (await slots?.makeRoom()) !== true) throw error;
    const message = 'The Hetzner project has as many servers as it may have; one of the pool makes room';
    throw new ShortageError(message, { cause: error });
  }
}
