import { mkdirSync } from 'node:fs';
import type { SandboxConfig } from '../../src/config/config.ts';
import { isSameDatabase } from '../../src/config/database-url.ts';
import type { Connections } from '../../src/connections/connections.ts';
import { claimDataDir } from '../../src/processes/folder-lock.ts';
import { supervise } from '../../src/processes/supervise.ts';
import { type Waiter, waitFor } from '../../src/processes/waiting.ts';
import { sandboxAccounts, sandboxConnections } from './connections.ts';
import { claimDatabase } from './database-host.ts';
import { type Databases, openDatabases } from './databases.ts';
import { toGithubOptions } from './github.ts';
import { type InstallationSecrets, loadInstallationSecrets } from './installation-secrets.ts';
import { chooseMachines, type MachineKind, readMachineKind, toMachinesOptions } from './machines.ts';
import { chooseSandboxPort } from './port.ts';
import { hostSandbox } from './process.ts';
import { removeSandboxFile, type SandboxFile, writeSandboxFile } from './sandbox-file.ts';
import { toSandboxFile } from './to-sandbox-file.ts';
import { untilReady } from './until-ready.ts';

/** A sandbox installation that this process hosts or has joined. */
export interface SandboxInstallation {
  role: 'host' | 'join';
  /** The host's DATA_DIR, which contains sandbox.json. */
  dataDir: string;
  connections: Connections;
  /** The kind of its machines. */
  machines: MachineKind;
  /** Addresses of the joined service; undefined for the host. */
  publicUrl?: string;
  operatorUrl?: string | undefined;
  /** Host only: starts the sandbox once the service's own address is known, and writes sandbox.json. */
  serve(service: { url: string; port: number; operatorUrl?: string | undefined }): Promise<void>;
  stop(): Promise<void>;
}

type Say = (line: string) => void;

/** Hosts the sandbox, and DATA_DIR's Postgres unless DATABASE_URL is set; or joins the process that does. */
export async function openSandboxInstallation(
  config: SandboxConfig,
  say: Say,
  signal?: AbortSignal,
): Promise<SandboxInstallation> {
  const waiter = { say, signal };
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const claim = await claimDataDir(config.dataDir);
  if (claim.role === 'join') return joinRunning(config, config.dataDir, waiter);
  try {
    const opened = await open(config, waiter, claim.release);
    if (opened.role === 'host') return opened.installation;
    claim.release();
    return await joinRunning(config, opened.dataDir, waiter);
  } catch (error) {
    claim.release();
    throw error;
  }
}

type Opened = { role: 'host'; installation: SandboxInstallation } | { role: 'join'; dataDir: string };

async function open(config: SandboxConfig, waiter: Waiter, release: () => void): Promise<Opened> {
  const { say } = waiter;
  removeSandboxFile(config.dataDir);
  const machines = chooseMachines(config, say);
  const secrets = withConfigured(loadInstallationSecrets(config.dataDir), config);
  const databases = await openDatabases(config, say, waiter.signal);
  try {
    const claimed = claimDatabase(databases.agents, {
      dataDir: config.dataDir,
      accounts: sandboxAccounts(secrets),
    });
    const dataDir = await waitFor('the database, to see who else uses it', claimed, waiter);
    if (dataDir !== config.dataDir) {
      await databases.stop();
      return { role: 'join', dataDir };
    }
    await waitFor('the databases of Pulumi and the sandbox', databases.ensureSiblings(), waiter);
    return { role: 'host', installation: await host({ config, say, release, secrets, databases, machines }) };
  } catch (error) {
    await databases.stop();
    throw error;
  }
}

/** What the configuration says; the sandbox's own defaults otherwise. */
function toSettings({ sandbox: { webhook, validateAnswers, requestsPerHour, maxServers } }: SandboxConfig) {
  return {
    validateAnswers,
    ownWebhook: webhook === 'on',
    ...(requestsPerHour === undefined ? {} : { requestsPerHour }),
    ...(maxServers === undefined ? {} : { maxServers }),
  };
}

interface HostParts {
  config: SandboxConfig;
  say: Say;
  release: () => void;
  secrets: InstallationSecrets;
  databases: Databases;
  machines: MachineKind;
}

async function host(parts: HostParts): Promise<SandboxInstallation> {
  const { config, say, release, secrets, databases, machines } = parts;
  const port = await chooseSandboxPort(config.dataDir);
  const file = toSandboxFile(`http://127.0.0.1:${port}`, { secrets, databases, config, machines });
  let sandbox: { stop(): Promise<void> } | undefined;
  return {
    role: 'host',
    dataDir: config.dataDir,
    connections: sandboxConnections(config, file, secrets, machines),
    machines,
    serve: async (service) => {
      const start = {
        databaseUrl: databases.sandbox,
        port,
        tokens: secrets.sandboxTokens,
        webhookUrl: `${service.url}/api/webhooks/stripe`,
        settings: toSettings(config),
        users: config.sandbox.users,
        github: toGithubOptions(config, file, { ...service, machines }),
        ...(machines === 'real' ? { machines: toMachinesOptions(config) } : {}),
      };
      sandbox = await supervise('The sandbox', () => hostSandbox(start, config.childEnvironment), say);
      const { url, operatorUrl } = service;
      writeSandboxFile(config.dataDir, { ...file, url, ...(operatorUrl !== undefined && { operatorUrl }) });
    },
    stop: async () => {
      removeSandboxFile(config.dataDir);
      await sandbox?.stop();
      await databases.stop();
      release();
    },
  };
}

function withConfigured(secrets: InstallationSecrets, config: SandboxConfig): InstallationSecrets {
  return {
    ...secrets,
    apiToken: config.apiToken?.reveal() ?? secrets.apiToken,
    pulumiPassphrase: config.pulumi.passphrase?.reveal() ?? secrets.pulumiPassphrase,
  };
}

async function joinRunning(
  config: SandboxConfig,
  dataDir: string,
  waiter: Waiter,
): Promise<SandboxInstallation> {
  const file = await waitFor(
    `the process that holds ${dataDir} to become ready`,
    untilReady(dataDir, waiter.signal),
    waiter,
  );
  refuseOtherDatabase(config, file, dataDir);
  const secrets = withConfigured(loadInstallationSecrets(dataDir), config);
  const machines = readMachineKind(dataDir) ?? 'simulated';
  return {
    role: 'join',
    dataDir,
    publicUrl: file.url,
    operatorUrl: file.operatorUrl,
    connections: sandboxConnections(config, file, secrets, machines),
    machines,
    serve: async () => {},
    stop: async () => {},
  };
}

function refuseOtherDatabase({ databaseUrl }: SandboxConfig, file: SandboxFile, dataDir: string): void {
  if (databaseUrl === undefined || isSameDatabase(databaseUrl.reveal(), file.databaseUrl)) return;
  throw new Error(
    `The installation that runs on ${dataDir} uses another database than DATABASE_URL. Unset DATABASE_URL to join it, or set another DATA_DIR.`,
  );
}
