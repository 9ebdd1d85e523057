import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openSandboxInstallation, type SandboxInstallation } from '../../../sandbox/host/installation.ts';
import { loadInstallationSecrets } from '../../../sandbox/host/installation-secrets.ts';
import { readSandboxFile } from '../../../sandbox/host/sandbox-file.ts';
import type { SandboxConfig } from '../../config/config.ts';
import {
  type EnvironmentLine,
  formatEnvironmentFile,
  writePrivateFile,
} from '../../config/environment-file.ts';
import { shortPath } from '../short-path.ts';
import { ensureRehearsedDatabase } from './database.ts';

export interface Clouds {
  /** What a person should do next. */
  introduction: string;
  stop(): Promise<void>;
}

interface Options {
  /** The rehearsal's folder. */
  dir: string;
  say(line: string): void;
  signal: AbortSignal;
}

/**
 * Starts the sandbox without a service, creates the database of the installation that is rehearsed, and
 * writes the credentials of both. A kill at any line leaves what the next start finds and completes: the
 * sandbox's own state is durable, role and database are created only where they are missing, and the file is
 * replaced.
 * @throws Error if another process hosts this folder
 */
export async function openClouds(config: SandboxConfig, { dir, say, signal }: Options): Promise<Clouds> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const installation = await openSandboxInstallation(config, say, signal);
  try {
    if (installation.role === 'join')
      throw new Error(
        `The clouds in ${dir} run already. Stop them first, or name another folder with --dir.`,
      );
    await installation.serve({ url: config.publicUrl, port: config.port });
    const databaseUrl = await ensureRehearsedDatabase(
      installation.connections.databaseUrl.reveal(),
      loadInstallationSecrets(config.dataDir).apiToken,
    );
    const file = join(dir, 'clouds.env');
    const lines = toLines(installation, { config, dir, databaseUrl });
    writePrivateFile(file, formatEnvironmentFile(lines), { isNew: false });
    return { introduction: introduce(installation, file, dir), stop: installation.stop };
  } catch (error) {
    await installation.stop();
    throw error;
  }
}

interface Parts {
  config: SandboxConfig;
  dir: string;
  databaseUrl: string;
}

function toLines(
  { connections }: SandboxInstallation,
  { config, dir, databaseUrl }: Parts,
): EnvironmentLine[] {
  const { hcloud, stripe } = connections;
  const file = readSandboxFile(config.dataDir)!;
  return [
    'The clouds of a rehearsal: npm run agents -- init --answers THIS_FILE',
    ['MODE', 'rehearsal'],
    ['PORT', String(config.port)],
    ['DATA_DIR', join(dir, 'installation')],
    ['PROVIDERS', 'builtin'],
    ['DATABASE_URL', databaseUrl],
    ['STRIPE_API_URL', file.stripeApiUrl],
    ['STRIPE_SECRET_KEY', stripe.secretKey.reveal()],
    ['HCLOUD_ENDPOINT', hcloud.endpoint],
    ['HCLOUD_TOKEN', hcloud.projects[0].token.reveal()],
    ['TAILSCALE_BASE_URL', file.tailscaleBaseUrl],
    ['TAILSCALE_OAUTH_CLIENT_ID', file.tailscaleOauthClientId],
    ['TAILSCALE_OAUTH_CLIENT_SECRET', file.tailscaleOauthClientSecret],
  ];
}

function introduce({ machines, connections }: SandboxInstallation, file: string, dir: string): string {
  return `
  The clouds of the rehearsal run on this machine, with ${machines} machines. Nothing is billed.

  Credentials  ${shortPath(file)}
  Checkout     ${connections.checkoutUrl} (once the installation runs)

  Next, in another terminal:

    npm run agents -- init --answers ${shortPath(file)} --file ${shortPath(join(dir, 'agents.env'))}

  Ctrl-C stops them. The next start continues.
`;
}
