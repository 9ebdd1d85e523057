import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below what the usual systems give to outgoing connections and to servers that ask for any port (Linux from
 * 32,768, others from 49,152): one of those could take the port before it is used, or while its server is
 * restarted.
 */
const FIRST = 20_000;
const END = 32_000;
const ATTEMPTS = 200;

/** Returns `preferred` if it is free, otherwise a free port on 127.0.0.1 that no connection is given. */
export async function freePort(preferred: number | null): Promise<number> {
  if (preferred !== null && (await isFree(preferred))) return preferred;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = randomInt(FIRST, END);
    if (await isFree(port)) return port;
  }
  throw new Error(`No free port on 127.0.0.1 from ${FIRST} to ${END - 1}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
