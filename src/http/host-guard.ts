import type { RequestHandler } from 'express';
import { HttpError } from './problem.ts';

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

/**
 * Refuses requests addressed to another host name. In sandbox mode the service listens on loopback only, but
 * a web page could reach it through a host name of its own that resolves to loopback (DNS rebinding).
 */
export function guardHost(publicUrl: string): RequestHandler {
  const own = new URL(publicUrl).hostname;
  return (request, _response, next) => {
    const name = (request.get('host') ?? '').toLowerCase().replace(/:\d*$/, '');
    if (!LOOPBACK.has(name) && name !== own) {
      throw new HttpError(421, 'This service does not serve the host in the request');
    }
    next();
  };
}
