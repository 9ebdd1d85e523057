import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { hostPostgres } from '../../src/launch/postgres.ts';
import { clusterPaths } from '../../src/launch/postgres-cluster.ts';
import { findPostmaster, stopPostmaster } from '../../src/launch/postmaster.ts';
import { processIdentity } from '../../src/launch/processes-alive.mjs';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The superuser's address of the Postgres that all tests of this run share. */
    postgresAdminUrl: string;
  }
}

const prefix = 'agent-stacks-test-';

/** One Postgres for the whole run, in a folder of its own; each test file makes databases in it. */
export default async function startPostgresForTests(project: TestProject): Promise<() => Promise<void>> {
  await clearInterruptedRuns();
  const dataDir = await mkdtemp(join(tmpdir(), `${prefix}${process.pid}-`));
  const postgres = await hostPostgres({ dataDir, durable: false });
  project.provide('postgresAdminUrl', postgres.adminUrl);
  return async () => {
    await postgres.stop();
    await rm(dataDir, { recursive: true });
  };
}

/** A killed run can stop nothing: its server and folder are left to the next one. */
async function clearInterruptedRuns(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const [, pid] = name.startsWith(prefix) ? (/^(\d+)-/.exec(name.slice(prefix.length)) ?? []) : [];
    if (pid === undefined || processIdentity(Number(pid)) !== null) continue;
    const folder = join(tmpdir(), name);
    if ((await stat(folder)).uid !== process.getuid?.()) continue;
    const postmaster = findPostmaster(clusterPaths(folder).cluster);
    if (postmaster !== null) await stopPostmaster(postmaster.pid);
    await rm(folder, { recursive: true, force: true });
  }
}
