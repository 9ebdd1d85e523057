import type { Socket } from 'node:net';
import type { RequestHandler } from 'express';
import { peerUserId } from '../src/processes/peer-user.ts';

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

/**
 * Refuses requests for any host but loopback: a page in a browser on this machine could reach the sandbox
 * through its own domain name that resolves to 127.0.0.1 (DNS rebinding).
 */
export const refuseOtherHosts: RequestHandler = (request, response, next) => {
  const name = (request.get('host') ?? '').toLowerCase().replace(/:\d*$/, '');
  if (LOOPBACK.has(name)) next();
  else problem(response, 421, 'The sandbox does not answer for the host that the request names');
};

/**
 * Admits this process's own user, root, and the user ids `others`: endpoints without a token must not be open
 * to every account of the machine. Only Linux reveals a connection's user; elsewhere everyone is admitted.
 */
export function refuseOtherUsers(others: number[]): RequestHandler {
  const allowed = new Set([0, process.getuid?.(), ...others]);
  // A connection keeps its user, and a lookup takes a few milliseconds.
  const known = new WeakMap<Socket, boolean>();
  return (request, response, next) => {
    const { socket } = request;
    if (process.platform !== 'linux' || (known.get(socket) ?? lookUp(socket))) next();
    else problem(response, 403, 'The sandbox’s own controls are for the user who started it, and for root');
  };

  function lookUp(socket: Socket): boolean {
    const userId = peerUserId(socket);
    const isAllowed = userId !== undefined && allowed.has(userId);
    known.set(socket, isAllowed);
    return isAllowed;
  }
}

function problem(response: Parameters<RequestHandler>[1], status: number, title: string): void {
  response.status(status).json({ type: 'about:blank', title, status });
}
