import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SandboxConfig } from '../config.ts';
import { type Connections, fingerprint } from '../connections.ts';
import { Secret } from '../secret.ts';
import { claimDataDir } from './data-dir-lock.ts';
import { type InstallationSecrets, loadInstallationSecrets } from './installation-secrets.ts';
import { hostPostgres } from './postgres.ts';
import { freePort } from './postgres-server.ts';
import { hostSandbox } from './sandbox.ts';
import { readSandboxFile, removeSandboxFile, type SandboxFile, writeSandboxFile } from './sandbox-file.ts';
import { supervise } from './supervise.ts';

/** A sandbox installation that this process hosts or has joined. */
export interface SandboxInstallation {
  role: 'host' | 'join';
  connections: Connections;
  /** Host only: starts the sandbox once the service's own address is known, and says where everything is. */
  serve(service: { url: string; port: number }): Promise<void>;
  stop(): Promise<void>;
}

type Say = (line: string) => void;

const JOIN_TIMEOUT_SECONDS = 90;

/** Hosts DATA_DIR's database and sandbox, or joins the process that does. */
export async function openSandboxInstallation(config: SandboxConfig, say: Say): Promise<SandboxInstallation> {
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const claim = await claimDataDir(config.dataDir);
  if (claim.role === 'join') {
    return joinRunning(config);
  }
  try {
    return await host(config, say, claim.release);
  } catch (error) {
    claim.release();
    throw error;
  }
}

async function host(config: SandboxConfig, say: Say, release: () => void): Promise<SandboxInstallation> {
  removeSandboxFile(config.dataDir);
  const secrets = withConfigured(loadInstallationSecrets(config.dataDir), config);
  const databases = await openDatabases(config, say);
  const port = await freePort(null);
  const url = `http://127.0.0.1:${port}`;
  const file = describe(url, secrets, databases, config);
  let sandbox: { stop(): Promise<void> } | undefined;
  return {
    role: 'host',
    connections: sandboxConnections(config, file, secrets),
    serve: async (service) => {
      const start = {
        databaseUrl: databases.url('sandbox'),
        port,
        tokens: secrets.sandboxTokens,
        webhookUrl: `${service.url}/api/webhooks/stripe`,
        settings: { validateAnswers: config.sandbox.validateAnswers },
      };
      sandbox = await supervise('The sandbox', () => hostSandbox(start, config.childEnvironment), say);
      writeSandboxFile(config.dataDir, { ...file, url: service.url });
    },
    stop: async () => {
      removeSandboxFile(config.dataDir);
      await sandbox?.stop();
      await databases.stop();
      release();
    },
  };
}

interface Databases {
  url(database: string): string;
  stop(): Promise<void>;
}

const DATABASES = ['agents', 'pulumi', 'sandbox'];

async function openDatabases(config: SandboxConfig, say: Say): Promise<Databases> {
  const postgres = await supervise(
    'Postgres',
    () => hostPostgres({ dataDir: config.dataDir, log: say }),
    say,
  );
  for (const name of DATABASES) await postgres.current().ensureDatabase(name);
  // A restart takes the same port, so these stay good.
  return { url: postgres.current().url, stop: postgres.stop };
}

function withConfigured(secrets: InstallationSecrets, config: SandboxConfig): InstallationSecrets {
  return {
    ...secrets,
    apiToken: config.apiToken?.reveal() ?? secrets.apiToken,
    pulumiPassphrase: config.pulumi.passphrase?.reveal() ?? secrets.pulumiPassphrase,
  };
}

function describe(
  url: string,
  secrets: InstallationSecrets,
  databases: Databases,
  config: SandboxConfig,
): SandboxFile {
  const { sandboxTokens: tokens } = secrets;
  return {
    url: '',
    apiToken: secrets.apiToken,
    stripeApiUrl: url,
    stripeWebhookSecret: tokens.stripeWebhookSecret,
    githubApiUrl: `${url}/github`,
    githubCallbackSecret: secrets.githubCallbackSecret,
    hcloudEndpoint: `${url}/hetzner/v1`,
    hcloudToken: tokens.hcloudToken,
    tailscaleBaseUrl: `${url}/tailscale`,
    tailscaleApiKey: tokens.tailscaleApiKey,
    databaseUrl: databases.url('agents'),
    pulumiBackendUrl: config.pulumi.backendUrl?.reveal() ?? `${databases.url('pulumi')}?sslmode=disable`,
    pulumiPassphrase: secrets.pulumiPassphrase,
  };
}

async function joinRunning(config: SandboxConfig): Promise<SandboxInstallation> {
  const deadline = Date.now() + JOIN_TIMEOUT_SECONDS * 1000;
  for (;;) {
    const file = readSandboxFile(config.dataDir);
    if (file !== undefined) {
      const secrets = withConfigured(loadInstallationSecrets(config.dataDir), config);
      return {
        role: 'join',
        connections: sandboxConnections(config, file, secrets),
        serve: async () => {},
        stop: async () => {},
      };
    }
    if (Date.now() > deadline)
      throw new Error(
        `The process that holds ${config.dataDir} did not become ready within ${JOIN_TIMEOUT_SECONDS} s`,
      );
    await sleep(200);
  }
}

/** The sandbox's addresses in place of the real services'. */
export function sandboxConnections(
  config: SandboxConfig,
  file: SandboxFile,
  secrets: InstallationSecrets,
): Connections {
  return {
    databaseUrl: new Secret(file.databaseUrl),
    pulumi: {
      url: new Secret(file.pulumiBackendUrl),
      passphrase: new Secret(file.pulumiPassphrase),
      // The user's own Pulumi home stays untouched, but for the official plugins in it.
      home: config.providers === 'builtin' ? join(config.dataDir, 'pulumi-home') : undefined,
    },
    apiToken: new Secret(file.apiToken),
    stripe: {
      secretKey: new Secret(secrets.sandboxTokens.stripeSecretKey),
      webhookSecrets: [new Secret(file.stripeWebhookSecret)],
      apiUrl: file.stripeApiUrl,
    },
    hcloud: { token: new Secret(file.hcloudToken), endpoint: file.hcloudEndpoint, pollIntervalMs: undefined },
    tailscale: {
      credential: { kind: 'api-key', key: new Secret(file.tailscaleApiKey) },
      tailnet: '-',
      baseUrl: file.tailscaleBaseUrl,
      loginServer: undefined,
    },
    healthAddress: (tailnetIp) => `${file.stripeApiUrl}/sandbox/machines/${tailnetIp}/health`,
    machines: 'simulated',
    providerHost:
      config.providers === 'builtin'
        ? new URL('../sandbox/providers/host.ts', import.meta.url).href
        : undefined,
    checkoutUrl: `${file.stripeApiUrl}/checkout`,
    accounts: { sandbox: fingerprint(secrets.sandboxTokens.hcloudToken) },
  };
}
