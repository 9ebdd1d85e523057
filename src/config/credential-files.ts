import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import type { Environment } from './environment-reader.ts';

/** Secrets that may be in a file, whose path is in `<NAME>_FILE`: as containers and systemd hand them over. */
const IN_FILES = [
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
/** A file of lines `NAME=value`. */
const ENV_FILE = 'ENV_FILE';

/** Whether some values are in files, which can be read again while the process runs. */
export function usesFiles(environment: Environment): boolean {
  return [ENV_FILE, ...IN_FILES.map(fileOf)].some((name) => Boolean(environment[name]));
}

const fileOf = (name: string) => `${name}_FILE`;

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
      return readFileSync(environment[name]!, 'utf8');
    } catch (error) {
      problems.push(`${name} cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`);
      return '';
    }
  };
  const own = Object.fromEntries(Object.entries(environment).filter(([, value]) => value));
  const lines = environment[ENV_FILE] ? (parseEnv(read(ENV_FILE)) as Environment) : {};
  const values: Record<string, string | undefined> = isAgain ? { ...own, ...lines } : { ...lines, ...own };
  for (const name of IN_FILES) {
    if (!environment[fileOf(name)]) continue;
    if (values[name]) problems.push(`${name} and ${fileOf(name)} are both set: only one of them may be`);
    // An editor leaves a line end behind what it writes.
    values[name] = read(fileOf(name)).replace(/\r?\n$/, '');
  }
  return { environment: values, problems };
}
