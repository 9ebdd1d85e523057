import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processArguments, processIdentity } from '../../src/processes/alive.mjs';

/** A running Postgres server. */
export interface Postmaster {
  pid: number;
  port: number;
}

/**
 * Finds the server that runs on `cluster` according to its postmaster.pid, or `null`. After a crash or a
 * reboot, that pid may belong to another program.
 */
export function findPostmaster(cluster: string): Postmaster | null {
  const lines = readPidFile(cluster);
  const [pid, port] = [Number(lines[0]), Number(lines[3])];
  if (processIdentity(pid) === null || !servesCluster(pid, cluster)) return null;
  return { pid, port };
}

/** Removes a stale postmaster.pid: Postgres refuses to start if any process has that pid. */
export function removeStalePidFile(cluster: string): void {
  if (findPostmaster(cluster) === null) rmSync(join(cluster, 'postmaster.pid'), { force: true });
}

/**
 * Stops a server, which closes its sessions and writes a checkpoint. Kills it after `timeoutSeconds`; then
 * the next start recovers without data loss.
 */
export async function stopPostmaster(pid: number, timeoutSeconds = 30): Promise<void> {
  const identity = processIdentity(pid);
  for (const [signal, seconds] of [
    ['SIGINT', timeoutSeconds],
    ['SIGQUIT', 10],
    ['SIGKILL', 10],
  ] as const) {
    if (identity === null || (await signalAndWait(pid, identity, signal, seconds))) return;
  }
  throw new Error(`Postgres (process ${pid}) could not be stopped`);
}

async function signalAndWait(pid: number, identity: string, signal: NodeJS.Signals, seconds: number) {
  const deadline = Date.now() + seconds * 1000;
  if (processIdentity(pid) === identity) process.kill(pid, signal);
  while (processIdentity(pid) === identity) {
    if (Date.now() > deadline) return false;
    await sleep(20);
  }
  return true;
}

function readPidFile(cluster: string): string[] {
  try {
    return readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return [];
  }
}

/** Identifies our server if its working folder is not readable. */
export function clusterName(cluster: string): string {
  const { dev, ino } = statSync(cluster);
  return `agent-stacks-${dev}-${ino}`;
}

function servesCluster(pid: number, cluster: string): boolean {
  const words = processArguments(pid);
  if (!/(^|\/)postgres\b/.test(words)) return false;
  try {
    // A server's working folder is its cluster; comparing inodes survives a renamed DATA_DIR.
    const [actual, expected] = [statSync(`/proc/${pid}/cwd`), statSync(cluster)];
    return actual.dev === expected.dev && actual.ino === expected.ino;
  } catch {
    return words.includes(`cluster_name=${clusterName(cluster)}`);
  }
}
