import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SandboxFile } from '../../../sandbox/host/sandbox-file.ts';
import { formatEnvironmentFile } from '../../../src/config/environment-file.ts';
import { type Rehearsal, type RunningRehearsal, WEBHOOK_SECRET } from '../../support/rehearsal.ts';

/** The credentials that a reload takes over, besides the webhook's secret. */
const RELOADED = [
  'HCLOUD_TOKEN',
  'STRIPE_SECRET_KEY',
  'TAILSCALE_OAUTH_CLIENT_ID',
  'TAILSCALE_OAUTH_CLIENT_SECRET',
] as const;

/** Writes the rehearsal's environment file, or replaces it. @returns its path */
export function writeEnvironmentFile(rehearsal: Rehearsal, variables: NodeJS.ProcessEnv): string {
  const file = join(rehearsal.site.dataDir, 'agents.env');
  writeFileSync(file, formatEnvironmentFile(Object.entries(variables) as [string, string][]));
  return file;
}

/** Starts it with its credentials in a file. */
export function startWithFile(rehearsal: Rehearsal, clouds: NodeJS.ProcessEnv): Promise<RunningRehearsal> {
  const right = Object.fromEntries(RELOADED.map((name) => [name, rehearsal.environment[name]]));
  return rehearsal.start({
    ...clouds,
    ...Object.fromEntries([...RELOADED, 'STRIPE_WEBHOOK_SECRET'].map((name) => [name, ''])),
    ENV_FILE: writeEnvironmentFile(rehearsal, { ...right, STRIPE_WEBHOOK_SECRET: WEBHOOK_SECRET }),
  });
}

/** Has the sandbox issue further credentials of the same accounts. */
export async function issueCredentials({ stripeApiUrl }: SandboxFile) {
  const issue = async (grant: object): Promise<Record<string, string>> => {
    const answer = await fetch(`${stripeApiUrl}/sandbox/credentials`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(grant),
    });
    return (await answer.json()) as Record<string, string>;
  };
  const [hetzner, stripe, tailscale] = await Promise.all([
    issue({ vendor: 'hetzner', permission: 'write' }),
    issue({ vendor: 'stripe' }),
    issue({ vendor: 'tailscale', scopes: ['auth_keys', 'devices:core'], tags: ['tag:controller'] }),
  ]);
  return {
    HCLOUD_TOKEN: hetzner.token,
    STRIPE_SECRET_KEY: stripe.key,
    TAILSCALE_OAUTH_CLIENT_ID: tailscale.clientId,
    TAILSCALE_OAUTH_CLIENT_SECRET: tailscale.clientSecret,
  };
}
