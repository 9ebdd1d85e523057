import { closeSync, openSync, readSync } from 'node:fs';
import { parseEnv } from 'node:util';
import type { Environment } from './environment-reader.ts';
import { tokenVariablesIn } from './hetzner-projects.ts';

/**
 * Secrets that may be in a file, whose path is in `<NAME>_FILE`: as containers and systemd hand them over.
 */
export const SECRETS = [
  'API_TOKEN',
  'VIEWER_TOKEN',
  'PROGRAM_TOKEN',
  'DATABASE_URL',
  'PULUMI_BACKEND_URL',
  'PULUMI_CONFIG_PASSPHRASE',
  'PULUMI_CONFIG_PASSPHRASE_BEFORE',
  'STRIPE_SECRET_KEY',
  'STRIPE_WEBHOOK_SECRET',
  'HCLOUD_TOKEN',
  'TAILSCALE_OAUTH_CLIENT_ID',
  'TAILSCALE_OAUTH_CLIENT_SECRET',
  'TAILSCALE_API_KEY',
  'GITHUB_PAT',
  'GITHUB_CALLBACK_SECRET',
  'NOTICE_WEBHOOK_SECRET',
  'SMTP_URL',
] as const;
/** Longer than any of them: a wrong path, such as a device's, must not fill the memory. */
const MAX_BYTES = 64 * 1024;
/** A file of lines `NAME=value`. */
const ENV_FILE = 'ENV_FILE';

/** Whether some values are in files, which can be read again while the process runs. */
export function usesFiles(environment: Environment): boolean {
  return [ENV_FILE, ...secretsIn(environment).map(fileOf)].some((name) => Boolean(environment[name]));
}

const FILE = '_FILE';
const fileOf = (name: string) => `${name}${FILE}`;

/** All secrets that may be in a file: each Hetzner project has a token of its own besides. */
const secretsIn = (environment: Environment): string[] => [
  ...new Set([...SECRETS, ...tokenVariablesIn(environment, FILE).map((name) => name.slice(0, -FILE.length))]),
];

/**
 * Adds the values that are in files.
 * @param isAgain whether they are read again: then `ENV_FILE` counts before the process's own environment,
 *   which may hold what the file said at the start
 * @returns the problems besides: files that cannot be read, and values that are given twice
 */
export function readFiles(
  environment: Environment,
  isAgain = false,
): { environment: Environment; problems: string[] } {
  const problems: string[] = [];
  const read = (name: string): string => {
    try {
      return readBounded(environment[name]!);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      problems.push(`${name} cannot be read: ${code ?? message}`);
      return '';
    }
  };
  const own = Object.fromEntries(Object.entries(environment).filter(([, value]) => value));
  const lines = environment[ENV_FILE] ? (parseEnv(read(ENV_FILE)) as Environment) : {};
  const values: Record<string, string | undefined> = isAgain ? { ...own, ...lines } : { ...lines, ...own };
  for (const name of secretsIn(environment)) {
    if (!environment[fileOf(name)]) continue;
    if (values[name]) problems.push(`${name} and ${fileOf(name)} are both set: only one of them may be`);
    // An editor leaves a line end behind what it writes.
    values[name] = read(fileOf(name)).replace(/\r?\n$/, '');
    if (values[name] === '' && !problems.some((one) => one.startsWith(fileOf(name))))
      problems.push(`${fileOf(name)} is empty`);
  }
  return { environment: values, problems };
}

function readBounded(path: string): string {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(MAX_BYTES + 1);
    let length = 0;
    let read: number;
    do length += read = readSync(file, buffer, length, buffer.length - length, null);
    while (read > 0 && length < buffer.length);
    if (length > MAX_BYTES) throw new Error('it is longer than 64 KiB');
    return buffer.toString('utf8', 0, length);
  } finally {
    closeSync(file);
  }
}
