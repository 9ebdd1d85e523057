import { z } from 'zod';
import { requestAs } from '../http-client/request.ts';

const clock = z.object({ now: z.iso.datetime() });

const TIMEOUT_SECONDS = 5;

/**
 * Returns how far the clock of a sandbox is ahead of real time, in milliseconds. Both are on this machine, so
 * only the way of the answer makes a difference.
 * @throws RetryableError, RefusedError or HttpError if no clock answers there
 */
export async function readSandboxClock(sandboxUrl: string, signal?: AbortSignal): Promise<number> {
  const { now } = await requestAs(clock, {
    method: 'GET',
    url: `${sandboxUrl}/sandbox/clock`,
    headers: {},
    timeoutSeconds: TIMEOUT_SECONDS,
    signal,
  });
  return Date.parse(now) - Date.now();
}
