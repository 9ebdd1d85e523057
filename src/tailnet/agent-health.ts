import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { z } from 'zod';
import { RetryableError } from '../errors.ts';
import { readText } from '../http-client/answer.ts';
import { withDeadline } from '../http-client/deadline.ts';
import { beginRequest } from '../http-client/one-request.ts';
import { poll } from '../processes/poll.ts';

/** Checks whether an agent answers at its health address, which is reachable only over the tailnet. */
export interface HealthCheck {
  /**
   * Settles within seconds, whatever the agent does: its owner controls it.
   * @throws only the signal's reason
   */
  isHealthy(tailnetIp: string, signal?: AbortSignal): Promise<boolean>;
  /**
   * `agentId`: an answer that names another agent does not count.
   * @throws RetryableError if no healthy answer comes in time.
   */
  untilHealthy(
    tailnetIp: string,
    options: { timeoutSeconds: number; signal: AbortSignal; agentId?: string | undefined },
  ): Promise<void>;
}

const ANSWER_TIMEOUT_SECONDS = 5;
const PAUSES = { intervalMs: 100, longestIntervalMs: 3_000 };

/** Connects to a tailnet address, as the controller's node does. */
export type Dial = (address: string, port: number, signal: AbortSignal) => Promise<Socket>;

/**
 * Creates the check. `address` maps a tailnet address to a URL, e.g. `http://100.64.0.7:8080/health`.
 * Connects with `dial` only: outside the tailnet the same address may be another machine.
 */
export function createHealthCheck(
  address: (tailnetIp: string) => string,
  dial: Dial = dialDirectly,
  { answerSeconds = ANSWER_TIMEOUT_SECONDS }: { answerSeconds?: number } = {},
): HealthCheck {
  const isHealthy = async (tailnetIp: string, signal?: AbortSignal, agentId?: string) => {
    try {
      const url = new URL(address(tailnetIp));
      return await withDeadline({ seconds: answerSeconds, signal }, (own) =>
        ask(url, dial, { agentId, signal: own }),
      );
    } catch {
      signal?.throwIfAborted();
      return false;
    }
  };
  return {
    isHealthy: (tailnetIp, signal) => isHealthy(tailnetIp, signal),
    untilHealthy: async (tailnetIp, { timeoutSeconds, signal, agentId }) => {
      const ask = async () => (await isHealthy(tailnetIp, signal, agentId)) || undefined;
      const healthy = await poll(ask, { ...PAUSES, timeoutMs: timeoutSeconds * 1000, signal });
      if (healthy === undefined)
        throw new RetryableError(`No healthy answer from ${tailnetIp} within ${timeoutSeconds} s`);
    },
  };
}

/**
 * Requests the health address. The status counts, and, if one agent is expected, whether the answer names
 * another one. No redirect is followed.
 */
async function ask(
  url: URL,
  dial: Dial,
  { agentId, signal }: { agentId: string | undefined; signal: AbortSignal },
): Promise<boolean> {
  const socket = await dial(url.hostname, Number(url.port || 80), signal);
  try {
    // The dial may have succeeded after the deadline.
    signal.throwIfAborted();
    const begun = await beginRequest({
      // Setting `agent`, even to false, makes Node open its own connection instead of using this one.
      createConnection: () => socket,
      path: url.pathname,
      headers: { host: url.host, connection: 'close' },
      signal,
    });
    const status = 'response' in begun ? (begun.response.statusCode ?? 0) : 0;
    if (status < 200 || status >= 300 || !('response' in begun)) return false;
    return agentId === undefined || (await namesNoOther(begun.response, agentId));
  } finally {
    socket.destroy();
  }
}

const answered = z.object({ agentId: z.string() });
const LONGEST_ANSWER = 64 * 1024;

/** An operator's own agent need not say who it is: it was started with this id. */
async function namesNoOther(response: IncomingMessage, agentId: string): Promise<boolean> {
  const text = await readText(response, LONGEST_ANSWER).catch(() => '');
  try {
    const parsed = answered.safeParse(JSON.parse(text));
    return !parsed.success || parsed.data.agentId === agentId;
  } catch {
    return true;
  }
}

/** Connects by this host's own network. */
export async function dialDirectly(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  const socket = connect(port, host);
  try {
    await once(socket, 'connect', { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
