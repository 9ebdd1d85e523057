import http from 'node:http';
import type { Socket } from 'node:net';
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

/** A connection over the tailnet, as the controller's place there gives it. */
export type Dial = (address: string, port: number, signal: AbortSignal) => Promise<Socket>;

/**
 * `address` gives the URL for a tailnet address, e.g. `http://100.64.0.7:8080/health`. With `dial` the connection is made by it and by
 * nothing else: a tailnet address means another machine, or none, outside the tailnet.
 */
export function createHealthCheck(address: (tailnetIp: string) => string, dial?: Dial): HealthCheck {
  const ask = dial === undefined ? askDirectly : askThrough(dial);
  const isHealthy = async (tailnetIp: string, signal?: AbortSignal) => {
    try {
      const timeout = AbortSignal.timeout(ANSWER_TIMEOUT_SECONDS * 1000);
      return await ask(new URL(address(tailnetIp)), signal ? AbortSignal.any([signal, timeout]) : timeout);
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

type Ask = (url: URL, signal: AbortSignal) => Promise<boolean>;

const askDirectly: Ask = async (url, signal) => {
  const response = await fetch(url, { signal });
  await response.body?.cancel();
  return response.ok;
};

function askThrough(dial: Dial): Ask {
  return async (url, signal) => {
    const socket = await dial(url.hostname, Number(url.port || 80), signal);
    try {
      return await new Promise((resolve, reject) => {
        // No agent, not even `false`: with one, Node makes a connection of its own instead of taking this.
        const headers = { host: url.host, connection: 'close' };
        const options = { createConnection: () => socket, path: url.pathname, headers, signal };
        http
          .get(options, (response) => {
            response.resume();
            resolve(
              response.statusCode !== undefined && response.statusCode < 300 && response.statusCode >= 200,
            );
          })
          .on('error', reject);
      });
    } finally {
      socket.destroy();
    }
  };
}
