import http, { type IncomingMessage, type RequestOptions } from 'node:http';
import type { Socket } from 'node:net';

/** How the other side's answer begins. */
export type Begun = { response: IncomingMessage } | { socket: Socket; head: Buffer };

/** An honest server sends 100 or 103 once or twice. */
const MOST_INFORMATION = 10;

/**
 * Sends one HTTP request on its own connection. Settles once the answer's head arrives, the connection
 * closes, or the signal aborts. Node itself emits nothing for an unexpected upgrade or a silent close.
 * @returns the answer, whose body must be read or destroyed, or the connection if the other side has switched
 * protocols.
 */
export function beginRequest(options: RequestOptions, body?: string): Promise<Begun> {
  return new Promise((resolve, reject) => {
    const outgoing = http.request(options);
    let information = 0;
    outgoing.on('information', () => {
      information += 1;
      if (information > MOST_INFORMATION) outgoing.destroy(new Error('its answer never ends'));
    });
    outgoing.on('response', (response) => resolve({ response }));
    outgoing.on('upgrade', (_response, socket: Socket, head) => resolve({ socket, head }));
    outgoing.on('error', reject);
    outgoing.on('close', () => reject(new Error('the connection closed before an answer came')));
    outgoing.end(body);
  });
}
