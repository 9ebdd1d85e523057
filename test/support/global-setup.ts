import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { hostPostgres } from '../../src/launch/postgres.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The superuser's address of the Postgres that all tests of this run share. */
    postgresAdminUrl: string;
  }
}

/** One Postgres for the whole run, in a folder of its own; each test file makes databases in it. */
export default async function startPostgresForTests(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'agent-stacks-test-'));
  const postgres = await hostPostgres({ dataDir, durable: false });
  project.provide('postgresAdminUrl', postgres.adminUrl);
  return async () => {
    await postgres.stop();
    await rm(dataDir, { recursive: true });
  };
}
