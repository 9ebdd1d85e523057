import type { RequestHandler } from 'express';
import { HttpError } from './problem.ts';

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

/**
 * Refuses requests that were sent to another name. In sandbox mode the service listens on loopback only, but a page in a browser on the
 * same machine could reach it by a name of its own that points there (DNS rebinding).
 */
export function guardHost(publicUrl: string): RequestHandler {
  const own = new URL(publicUrl).hostname;
  return (request, _response, next) => {
    const name = (request.get('host') ?? '').toLowerCase().replace(/:\d*$/, '');
    if (!LOOPBACK.has(name) && name !== own) {
      throw new HttpError(421, 'This service does not answer for the host that the request names');
    }
    next();
  };
}
