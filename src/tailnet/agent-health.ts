import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { RetryableError } from '../errors.ts';
import { withDeadline } from '../http-client/deadline.ts';
import { beginRequest } from '../http-client/one-request.ts';

/** Whether an agent answers at its health address, which is reachable over the tailnet alone. */
export interface HealthCheck {
  /**
   * Ends within seconds, whatever the agent does: it may be anybody's.
   * @throws the signal's reason, and nothing else
   */
  isHealthy(tailnetIp: string, signal?: AbortSignal): Promise<boolean>;
  /** @throws RetryableError where no healthy answer came in time. */
  untilHealthy(tailnetIp: string, options: { timeoutSeconds: number; signal: AbortSignal }): Promise<void>;
}

const ANSWER_TIMEOUT_SECONDS = 5;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 3_000;

/** A connection over the tailnet, as the controller's place there gives it. */
export type Dial = (address: string, port: number, signal: AbortSignal) => Promise<Socket>;

/**
 * `address` gives the URL for a tailnet address, e.g. `http://100.64.0.7:8080/health`. With `dial` the connection is made by it and by
 * nothing else: a tailnet address means another machine, or none, outside the tailnet.
 */
export function createHealthCheck(
  address: (tailnetIp: string) => string,
  dial: Dial = dialDirectly,
  { answerSeconds = ANSWER_TIMEOUT_SECONDS }: { answerSeconds?: number } = {},
): HealthCheck {
  const isHealthy = async (tailnetIp: string, signal?: AbortSignal) => {
    try {
      const url = new URL(address(tailnetIp));
      return await withDeadline({ seconds: answerSeconds, signal }, (own) => ask(url, dial, own));
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

/** The status decides. Nothing else of the answer is read: no body, no redirect. */
async function ask(url: URL, dial: Dial, signal: AbortSignal): Promise<boolean> {
  const socket = await dial(url.hostname, Number(url.port || 80), signal);
  try {
    // Whoever dialled may have heard of the end too late.
    signal.throwIfAborted();
    const begun = await beginRequest({
      // No agent, not even `false`: with one, Node makes a connection of its own instead of taking this.
      createConnection: () => socket,
      path: url.pathname,
      headers: { host: url.host, connection: 'close' },
      signal,
    });
    const status = 'response' in begun ? (begun.response.statusCode ?? 0) : 0;
    return status >= 200 && status < 300;
  } finally {
    socket.destroy();
  }
}

async function dialDirectly(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  const socket = connect(port, host);
  try {
    await once(socket, 'connect', { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
