import type { Socket } from 'node:net';
import type { RequestHandler } from 'express';
import { peerUserId } from '../src/processes/peer-user.ts';

const loopback = new Set(['127.0.0.1', 'localhost', '[::1]']);

/**
 * Refuses requests that were sent to another name than loopback's: a page in a browser on this machine could
 * reach the sandbox by a name of its own that points here (DNS rebinding).
 */
export const refuseOtherHosts: RequestHandler = (request, response, next) => {
  const name = (request.get('host') ?? '').toLowerCase().replace(/:\d*$/, '');
  if (loopback.has(name)) next();
  else problem(response, 421, 'The sandbox does not answer for the host that the request names');
};

/**
 * Lets in this process's own user, root, and `others` by their numbers: what needs no token is not for every
 * account of the machine. Only Linux says whose a connection is; elsewhere everybody is let in.
 */
export function refuseOtherUsers(others: number[]): RequestHandler {
  const allowed = new Set([0, process.getuid?.(), ...others]);
  // A connection stays its user's, and a look takes a few milliseconds.
  const known = new WeakMap<Socket, boolean>();
  return (request, response, next) => {
    const { socket } = request;
    if (process.platform !== 'linux' || (known.get(socket) ?? look(socket))) next();
    else problem(response, 403, 'The sandbox’s own controls are for the user who started it, and for root');
  };

  function look(socket: Socket): boolean {
    const userId = peerUserId(socket);
    const isAllowed = userId !== undefined && allowed.has(userId);
    known.set(socket, isAllowed);
    return isAllowed;
  }
}

function problem(response: Parameters<RequestHandler>[1], status: number, title: string): void {
  response.status(status).json({ type: 'about:blank', title, status });
}
