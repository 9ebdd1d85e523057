import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';

/** The sandbox of a killed host exits within moments and frees its port. */
const FREE_TIMEOUT_MS = 3_000;

/**
 * Returns the sandbox's last port if it is free, and a new one otherwise. Joined workers reach the clouds at
 * this port, so it must be the same after a restart of the host.
 */
export async function chooseSandboxPort(dataDir: string): Promise<number> {
  const path = join(dataDir, 'sandbox-port');
  const last = readPort(path);
  const deadline = Date.now() + FREE_TIMEOUT_MS;
  let port = await freePort(last);
  while (last !== null && port !== last && Date.now() < deadline) {
    await sleep(100);
    port = await freePort(last);
  }
  if (port !== last) writeFileSync(path, String(port), { mode: 0o600 });
  return port;
}

function readPort(path: string): number | null {
  try {
    const port = Number(readFileSync(path, 'utf8'));
    return Number.isInteger(port) && port > 0 && port < 65_536 ? port : null;
  } catch {
    return null;
  }
}
