import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { hostPostgres } from '../../sandbox/host/postgres.ts';
import { clusterPaths } from '../../sandbox/host/postgres-cluster.ts';
import { findPostmaster, stopPostmaster } from '../../sandbox/host/postmaster.ts';
import { processIdentity } from '../../src/processes/alive.mjs';
import { killProcesses } from '../../src/processes/find.ts';
import { memoryFolder } from './memory-folder.ts';
import { keepCluster } from './prepared-cluster.ts';
import { makeDatabases, nameTemplates } from './templates.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The superuser's address of the Postgres shared by all tests of this run. */
    postgresAdminUrl: string;
    /** The DATA_DIR whose cluster installations begin with. */
    preparedCluster: string;
    /** Folder of the installations' records about their sandbox's answers, one file each. */
    answerRecords: string;
  }
}

const prefix = 'agent-stacks-test-';

/** Starts one Postgres for the whole run in a temporary folder; each test file creates databases in it. */
export default async function startPostgresForTests(project: TestProject): Promise<() => Promise<void>> {
  await clearInterruptedRuns();
  const dataDir = await mkdtemp(join(memoryFolder, `${prefix}${process.pid}-`));
  const first = await hostPostgres({ dataDir, durable: false });
  await makeDatabases(first.adminUrl);
  await first.stop();
  const preparedCluster = join(dataDir, 'prepared');
  await keepCluster(dataDir, preparedCluster);
  const postgres = await hostPostgres({ dataDir, durable: false });
  await nameTemplates(postgres.adminUrl);
  const records = join(dataDir, 'answers');
  await mkdir(records);
  project.provide('postgresAdminUrl', postgres.adminUrl);
  project.provide('preparedCluster', preparedCluster);
  project.provide('answerRecords', records);
  return async () => {
    await postgres.stop();
    const answers = await sumUp(records);
    await rm(dataDir, { recursive: true });
    if (answers !== undefined) console.log(answers);
  };
}

/**
 * Sums up the answers of the sandbox's Hetzner API over the whole run. Answers that did not match the
 * document have already failed a test.
 */
async function sumUp(records: string): Promise<string | undefined> {
  const files = await readdir(records);
  if (files.length === 0) return undefined;
  let [checked, violations] = [0, 0];
  for (const file of files) {
    const record = JSON.parse(await readFile(join(records, file), 'utf8'));
    checked += record.checked;
    violations += record.violations.length;
  }
  return `${checked} answers of the sandbox's Hetzner API were checked against the official document in ${files.length} installations: ${violations} did not fit`;
}

/** A killed run stops nothing: the next one ends its processes and server and removes its folder. */
async function clearInterruptedRuns(): Promise<void> {
  const folders = [...new Set([tmpdir(), memoryFolder])];
  const names = await Promise.all(
    folders.map(async (folder) => (await readdir(folder)).map((name) => join(folder, name))),
  );
  for (const folder of names.flat()) {
    const name = basename(folder);
    const [, pid] = name.startsWith(prefix) ? (/^(\d+)-/.exec(name.slice(prefix.length)) ?? []) : [];
    if (pid === undefined || processIdentity(Number(pid)) !== null) continue;
    if ((await stat(folder)).uid !== process.getuid?.()) continue;
    await killProcesses((environment) => environment.get('TMPDIR')?.startsWith(folder) === true);
    const postmaster = findPostmaster(clusterPaths(folder).cluster);
    if (postmaster !== null) await stopPostmaster(postmaster.pid);
    await rm(folder, { recursive: true, force: true });
  }
}
