import { request } from 'node:http';
import type { Socket } from 'node:net';
import { z } from 'zod';
import { requestAs } from '../../http-client/request.ts';
import type { Dial } from '../agent-health.ts';

const network = z.object({ gate: z.string() });

/** Connects to public addresses of the sandbox's machines, which exist in their own network only. */
export function createGateDial(networkUrl: string): Dial {
  return async (address, port, signal) => {
    const { gate } = await requestAs(network, { method: 'GET', url: networkUrl, headers: {}, signal });
    return connectThrough(gate, `${address}:${port}`, signal);
  };
}

function connectThrough(socketPath: string, path: string, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method: 'CONNECT', path });
    // Only until it is connected: the signal of a deadline aborts after it too.
    const giveUp = () => call.destroy(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    call.once('close', () => signal.removeEventListener('abort', giveUp));
    call.once('error', reject);
    call.once('connect', ({ statusCode, statusMessage }, socket: Socket) => {
      signal.removeEventListener('abort', giveUp);
      if (statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(new Error(`${path}: ${statusMessage}`));
    });
    call.end();
  });
}
