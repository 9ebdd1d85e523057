import { RetryableError } from '../../errors.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import { poll } from '../../processes/poll.ts';

const GONE_WITHIN_SECONDS = 60;
const INTERVAL_MS = 1_000;

/**
 * Ends a restore drill with the agent's snapshot, and waits until its server, which has a copy of the
 * agent's disk, is gone: only then can a receipt say that nothing is left. Any worker deletes it, whoever
 * is killed here.
 * @throws RetryableError if it is still there; nothing of the agent is deleted then
 */
export async function endDrill(parts: RunbookParts, attempt: Attempt): Promise<void> {
  const { lastSnapshots } = parts;
  if (lastSnapshots === undefined) return;
  let left: string | undefined;
  const isGone = async () => {
    const drillId = await lastSnapshots.endDrill(attempt);
    if (drillId !== undefined && left === undefined)
      attempt.log(`waits until the server of ${drillId} is gone: it has a copy of the disk`);
    left = drillId;
    return drillId === undefined ? true : undefined;
  };
  const timeoutMs = (parts.goneWithinSeconds ?? GONE_WITHIN_SECONDS) * 1000;
  if ((await poll(isGone, { intervalMs: INTERVAL_MS, timeoutMs, signal: attempt.signal })) === undefined)
    throw new RetryableError(`The server of ${left}, with a copy of its disk, is still there`);
}
