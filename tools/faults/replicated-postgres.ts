import { execFile } from 'node:child_process';
import { mkdtempSync, realpathSync } from 'node:fs';
import { appendFile, chmod, chown, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type HostedPostgres, hostPostgres } from '../../sandbox/host/postgres.ts';
import { clusterPaths } from '../../sandbox/host/postgres-cluster.ts';
import { signal } from '../../src/processes/find.ts';
import { type DatabaseProxy, startProxy } from './database-proxy.ts';
import { listChildren } from './processes.ts';
import { until } from './until.ts';

interface Server {
  name: string;
  dataDir: string;
  postgres: HostedPostgres;
}

/**
 * A primary with a synchronous standby behind one address that moves with the role, as managed services and
 * the usual high-availability tools give one: a commit is answered once both servers have it.
 */
export class ReplicatedPostgres {
  readonly #folder: string;
  readonly #proxy: DatabaseProxy;
  #primary: Server;
  #standby: Server | undefined;
  #count = 1;

  private constructor(folder: string, primary: Server, proxy: DatabaseProxy) {
    this.#folder = folder;
    this.#primary = primary;
    this.#proxy = proxy;
  }

  static async start(): Promise<ReplicatedPostgres> {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'agent-stacks-replicated-')));
    const dataDir = join(folder, 'server-1');
    const postgres = await hostPostgres({ dataDir });
    const proxy = await startProxy(postgres.url('agents'));
    const replicated = new ReplicatedPostgres(folder, { name: 'server-1', dataDir, postgres }, proxy);
    await replicated.#addStandby();
    return replicated;
  }

  /** The address that moves, of the database `agents`. */
  get url(): string {
    return this.#proxy.url;
  }

  /**
   * The primary's machine dies, its standby is promoted, the address moves there, and a new standby joins.
   * `silentMs`: for so long no connection to the old primary is closed, as where a whole machine is gone.
   * @returns the seconds without a server that accepts changes
   */
  async failOver({ silentMs = 0 }: { silentMs?: number } = {}): Promise<number> {
    const [before, next] = [this.#primary, this.#standby!];
    let outageSeconds = 0;
    await inSession(next.postgres.adminUrl, async (client) => {
      const startedAt = Date.now();
      if (silentMs > 0) setTimeout(this.#proxy.silence(), silentMs);
      killMachine(before.postgres.pid);
      await before.postgres.exited;
      const { rows } = await client.query<{ promoted: boolean }>('select pg_promote(true, 60) as promoted');
      if (!rows[0]?.promoted) throw new Error('The standby was not promoted');
      this.#proxy.lead(next.postgres.url('agents'));
      this.#primary = next;
      outageSeconds = (Date.now() - startedAt) / 1000;
    });
    await this.#addStandby();
    await rm(before.dataDir, { recursive: true, force: true });
    return outageSeconds;
  }

  async stop(): Promise<void> {
    await this.#proxy.cut();
    // A primary whose standby has gone waits for it with every commit.
    for (const server of [this.#primary, this.#standby])
      if (server !== undefined) killMachine(server.postgres.pid);
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** From its return on, no commit is answered that the standby does not have. */
  async #addStandby(): Promise<void> {
    this.#count += 1;
    const name = `server-${this.#count}`;
    const dataDir = join(this.#folder, name);
    const { adminUrl } = this.#primary.postgres;
    await inSession(adminUrl, async (client) => {
      await client.query('select pg_create_physical_replication_slot($1, true)', [slotName(name)]);
      await client.query('select pg_backup_start($1, true)', [name]);
      await copyFolder(this.#primary.dataDir, dataDir);
      const { rows } = await client.query<{ labelfile: string }>('select labelfile from pg_backup_stop()');
      await makeStandby(dataDir, { name, primaryUrl: adminUrl, label: rows[0]!.labelfile });
      this.#standby = { name, dataDir, postgres: await hostPostgres({ dataDir }) };
      await client.query(`alter system set synchronous_standby_names = '"${name}"'`);
      await client.query('select pg_reload_conf()');
      await until(`${name} is a synchronous standby`, 60, async () => {
        const state = await client.query(
          "select from pg_stat_replication where application_name = $1 and sync_state = 'sync'",
          [name],
        );
        return state.rowCount === 1;
      });
    });
  }
}

const slotName = (name: string) => name.replace('-', '_');

/** What a machine that loses its power leaves running: nothing. */
function killMachine(postmaster: number): void {
  for (const pid of [postmaster, ...listChildren(postmaster).map((child) => child.pid)])
    signal(pid, 'SIGKILL');
}

async function inSession(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

/** The bundled Postgres has no pg_basebackup. Files that vanish meanwhile are part of no backup. */
async function copyFolder(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o700 });
  const stderr = await new Promise<string>((resolve) => {
    execFile('cp', ['-a', clusterPaths(from).folder, to], (_error, _stdout, said) => resolve(said));
  });
  const problems = stderr.split('\n').filter((line) => line !== '' && !line.includes('No such file'));
  if (problems.length > 0) throw new Error(`The cluster could not be copied: ${problems.join('; ')}`);
}

async function makeStandby(
  dataDir: string,
  { name, primaryUrl, label }: { name: string; primaryUrl: string; label: string },
): Promise<void> {
  const { cluster } = clusterPaths(dataDir);
  for (const left of ['postmaster.pid', 'postmaster.opts']) await rm(join(cluster, left), { force: true });
  const slots = join(cluster, 'pg_replslot');
  for (const slot of await readdir(slots)) await rm(join(slots, slot), { recursive: true });
  const { hostname, port, username, password } = new URL(primaryUrl);
  const connection = `host=${hostname} port=${port} user=${username} password=${password} application_name=${name}`;
  const owner = await stat(cluster);
  for (const [file, text] of [
    ['backup_label', label],
    ['standby.signal', ''],
  ] as const) {
    await writeFile(join(cluster, file), text, { mode: 0o600 });
    await chown(join(cluster, file), owner.uid, owner.gid);
  }
  await appendFile(
    join(cluster, 'postgresql.auto.conf'),
    `primary_conninfo = '${connection}'\nprimary_slot_name = '${slotName(name)}'\n`,
  );
  await chmod(cluster, 0o700);
}
