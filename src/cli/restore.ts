import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { ensureSibling } from '../../sandbox/host/databases.ts';
import { openSandboxInstallation } from '../../sandbox/host/installation.ts';
import { BackupError } from '../backups/backup-error.ts';
import type { Loaded } from '../backups/load.ts';
import { restore } from '../backups/restore.ts';
import { unseal } from '../backups/seal.ts';
import { openStore } from '../backups/store.ts';
import { readStore } from '../config/backups.ts';
import type { Config, LiveConfig } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { EnvironmentReader } from '../config/environment-reader.ts';
import type { Connections } from '../connections/connections.ts';
import { openConnections } from '../connections/rehearsal.ts';
import { complain } from '../processes/terminal-text.mjs';
import { CommandError } from './connection.ts';

export interface Restoring {
  /** A path, or `s3://bucket/prefix/name?…` as BACKUP_TO has it. */
  from: string;
  force: boolean;
  /** A file with private keys of `age`. */
  identity: string | undefined;
}

/**
 * Restores a backup while no process of the installation runs: it needs both databases, not the service. In
 * sandbox mode it runs the embedded Postgres until it is done.
 * @throws CommandError that says why not
 */
export async function restoreBackup(
  request: Restoring,
  { config, environment }: { config: Config; environment: NodeJS.ProcessEnv },
): Promise<Loaded> {
  const installation =
    config.mode === 'sandbox' ? await openSandboxInstallation(config, complain) : undefined;
  try {
    if (installation?.role === 'join')
      throw new CommandError('The installation is running: stop it first (Ctrl-C where it was started)');
    const connections = installation?.connections ?? (await openConnections(config as LiveConfig));
    if (installation === undefined && config.pulumi.backendUrl === undefined)
      await ensureSibling(connections.databaseUrl.reveal(), 'pulumi');
    return await restoreInto(connections, config, request, environment);
  } catch (error) {
    throw error instanceof BackupError ? new CommandError(error.message, { cause: error }) : error;
  } finally {
    await installation?.stop();
  }
}

async function restoreInto(
  { databaseUrl, pulumi }: Connections,
  { mode }: Config,
  { from, force, identity }: Restoring,
  environment: NodeJS.ProcessEnv,
): Promise<Loaded> {
  const identities = identity === undefined ? [] : await readIdentities(identity);
  const chunks = await unseal(await open(from, environment), {
    passphrases: pulumi.keyring.all.map(({ passphrase }) => passphrase),
    identities,
  });
  const deps = { databaseUrl, stateUrl: pulumi.url, mode, keyring: pulumi.keyring };
  return restore(deps, chunks, { force });
}

async function readIdentities(path: string): Promise<string[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').map((line) => line.trim());
  const keys = lines.filter((line) => line.startsWith('AGE-SECRET-KEY-'));
  if (keys.length === 0) throw new CommandError(`${path} has no private key of age (AGE-SECRET-KEY-…)`);
  return keys;
}

async function open(from: string, environment: NodeJS.ProcessEnv): Promise<AsyncIterable<Uint8Array>> {
  if (!from.startsWith('s3://'))
    return openStore({ kind: 'folder', path: dirname(resolve(from)) }).get(basename(from));
  const [address = '', query = ''] = from.split('?');
  const reader = new EnvironmentReader(environment);
  const cut = address.lastIndexOf('/');
  const store = readStore(reader, `${address.slice(0, cut)}${query === '' ? '' : `?${query}`}`);
  if (store === undefined || reader.problems.length > 0) throw new ConfigError(reader.problems.join('; '));
  return openStore(store).get(address.slice(cut + 1));
}
