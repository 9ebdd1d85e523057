import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './postgres-server.ts';

/** The sandbox of a killed predecessor notices within moments that it is alone. */
const PATIENCE_MS = 3_000;

/**
 * The port that the sandbox had at the start before, if it is free, and a new one otherwise. Workers that have joined know the clouds
 * by this port: it must be the same after a restart of the process that hosts them.
 */
export async function chooseSandboxPort(dataDir: string): Promise<number> {
  const path = join(dataDir, 'sandbox-port');
  const last = readPort(path);
  const deadline = Date.now() + PATIENCE_MS;
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
