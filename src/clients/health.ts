import { setTimeout as sleep } from 'node:timers/promises';
import { RetryableError } from '../errors.ts';

/** Whether an agent answers at its health address, which is reachable over the tailnet alone. */
export interface HealthCheck {
  isHealthy(tailnetIp: string, signal?: AbortSignal): Promise<boolean>;
  /** @throws RetryableError where no healthy answer came in time. */
  untilHealthy(tailnetIp: string, options: { timeoutSeconds: number; signal: AbortSignal }): Promise<void>;
}

const ANSWER_TIMEOUT_SECONDS = 5;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 3_000;

/** `address` gives the URL for a tailnet address, e.g. `http://100.64.0.7:8080/health`. */
export function createHealthCheck(address: (tailnetIp: string) => string): HealthCheck {
  const isHealthy = async (tailnetIp: string, signal?: AbortSignal) => {
    try {
      const timeout = AbortSignal.timeout(ANSWER_TIMEOUT_SECONDS * 1000);
      const response = await fetch(address(tailnetIp), {
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      });
      await response.body?.cancel();
      return response.ok;
    } catch {
      signal?.throwIfAborted();
      return false;
    }
  };
  return {
    isHealthy,
    untilHealthy: async (tailnetIp, { timeoutSeconds, signal }) => {
      const deadline = Date.now() + timeoutSeconds * 1000;
      for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
        if (await isHealthy(tailnetIp, signal)) return;
        if (Date.now() + pause > deadline)
          throw new RetryableError(`No healthy answer from ${tailnetIp} within ${timeoutSeconds} s`);
        await sleep(pause, undefined, { signal });
      }
    },
  };
}
