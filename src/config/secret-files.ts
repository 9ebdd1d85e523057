import { readFileSync } from 'node:fs';
import { errorMessage } from '../errors.ts';
import type { Environment } from './environment-reader.ts';

/** The variables that hold secrets. Each may also be in a file, which `<name>_FILE` names. */
export const SECRETS = [
  'API_TOKEN',
  'VIEWER_TOKEN',
  'PROGRAM_TOKEN',
  'DATABASE_URL',
  'PULUMI_BACKEND_URL',
  'PULUMI_CONFIG_PASSPHRASE',
  'STRIPE_SECRET_KEY',
  'STRIPE_WEBHOOK_SECRET',
  'HCLOUD_TOKEN',
  'TAILSCALE_OAUTH_CLIENT_SECRET',
  'TAILSCALE_API_KEY',
  'GITHUB_PAT',
  'GITHUB_CALLBACK_SECRET',
  'NOTICE_WEBHOOK_SECRET',
  'SMTP_URL',
] as const;

/** Longer than any secret: a wrong path must not fill the memory. */
const MAX_BYTES = 64 * 1024;

/**
 * Adds the secrets that are in files, as Compose, Kubernetes and systemd hand them over. One line end at the
 * end of a file belongs to the file and not to the secret. Adds what is wrong to `problems`.
 */
export function withSecretFiles(environment: Environment, problems: string[]): Environment {
  const found: Record<string, string> = {};
  for (const name of SECRETS) {
    const path = environment[`${name}_FILE`]?.trim();
    if (!path) continue;
    if (environment[name]) problems.push(`${name} and ${name}_FILE: set only one of them`);
    else {
      const text = read(path);
      if (text instanceof Error) problems.push(`${name}_FILE: ${text.message}`);
      else found[name] = text;
    }
  }
  return { ...environment, ...found };
}

function read(path: string): string | Error {
  try {
    const content = readFileSync(path);
    if (content.length > MAX_BYTES) return new Error(`${path} is too long to be a secret`);
    const text = content.toString('utf8').replace(/\r?\n$/, '');
    return text === '' ? new Error(`${path} is empty`) : text;
  } catch (error) {
    return new Error(`cannot be read: ${errorMessage(error)}`);
  }
}
