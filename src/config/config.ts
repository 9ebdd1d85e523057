import { availableParallelism, homedir, platform, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { realPath } from '../processes/real-path.mjs';
import type { Secret } from '../secret.ts';
import { type LiveAccounts, readAccounts } from './accounts.ts';
import { type Environment, EnvironmentReader } from './environment-reader.ts';
import { EXECUTORS, type ExecutorName, runsElsewhere } from './executor-name.ts';
import {
  apiToken,
  backendUrl,
  concurrency,
  hostName,
  httpUrl,
  leaseSeconds,
  passphrase,
  port,
  postgresUrl,
  retrySeconds,
  sandboxBackendUrl,
  type TrustedProxies,
  trustedProxies,
  userId,
} from './fields.ts';
import { missingForDispatch } from './github-account.ts';
import { type MachinesWish, type MachineTools, readMachinesWish, readMachineTools } from './machine-tools.ts';
import { childEnvironment, postgresNotice } from './process-environment.ts';
import { refuseOutside } from './rehearsal-endpoints.ts';
import { type AgentSoftware, readAgentSoftware } from './software.ts';
import { LEASE_SECONDS, RETRY_SECONDS } from './timing.ts';

/** Which roles one process takes: the web server, a worker, or both. */
export const ROLES = ['all', 'api', 'worker'] as const;
export type Role = (typeof ROLES)[number];

interface CommonConfig {
  host: string;
  port: number;
  publicUrl: string;
  /** Whose `X-Forwarded-For` says where a request comes from. */
  trustedProxies: TrustedProxies;
  dataDir: string;
  cacheDir: string;
  executor: ExecutorName;
  workerConcurrency: number;
  /** How long an attempt's lease lasts from its last renewal; only sandbox mode lets it be chosen. */
  leaseSeconds: number;
  /** Pause after an operation's first failed try; sandbox mode and a rehearsal may shorten it, to try failures out. */
  retrySeconds: number;
  pulumi: { backendUrl: Secret | undefined; passphrase: Secret | undefined };
  /** Programs that the set-up found or made; undefined means: look on the PATH. */
  tools: {
    pulumi: string | undefined;
    ansible: string | undefined;
    act: string | undefined;
    machines: MachineTools;
  };
  /** What the operator says an agent is. */
  software: AgentSoftware;
  providers: 'builtin' | 'official';
  /** What child processes need of this process's environment: where programs, the home folder and certificates are. */
  childEnvironment: Record<string, string>;
  /** What was set and is ignored in this mode, to be said at the start. */
  notices: string[];
}

export interface SandboxConfig extends CommonConfig {
  mode: 'sandbox';
  databaseUrl: Secret | undefined;
  apiToken: Secret | undefined;
  sandbox: {
    machines: MachinesWish;
    github: 'on' | 'no-token';
    /** Every answer of the sandbox's Hetzner API is checked against the official document (costs time; for tests). */
    validateAnswers: boolean;
    /** Users, by their numbers, who may use the sandbox's own controls besides this process's: who became root with sudo. */
    users: number[];
  };
}

/** A rehearsal is live mode in everything but its endpoints, which are on loopback (src/connections/rehearsal.ts). */
export interface LiveConfig extends CommonConfig {
  mode: 'live' | 'rehearsal';
  databaseUrl: Secret;
  apiToken: Secret;
  accounts: LiveAccounts;
}

export type Config = SandboxConfig | LiveConfig;

/** Configuration that cannot be used; the message lists every problem, a line each. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

const IGNORED_IN_SANDBOX = [
  'STRIPE_SECRET_KEY',
  'STRIPE_WEBHOOK_SECRET',
  'STRIPE_API_URL',
  'HCLOUD_TOKEN',
  'HCLOUD_ENDPOINT',
  'TAILSCALE_OAUTH_CLIENT_ID',
  'TAILSCALE_OAUTH_CLIENT_SECRET',
  'TAILSCALE_API_KEY',
  'TAILSCALE_TAILNET',
  'TAILSCALE_BASE_URL',
  'TAILSCALE_LOGIN_SERVER',
  'GITHUB_PAT',
  'GITHUB_OWNER',
  'GITHUB_REPO',
  'GITHUB_API_URL',
  'GITHUB_CALLBACK_SECRET',
  'GITHUB_WORKFLOW_REF',
  'GITHUB_OIDC_AUDIENCE',
  'GITHUB_OIDC_ISSUER',
  'GITHUB_REPOSITORY_ID',
];

/**
 * Reads the environment; the only place that does.
 * @throws ConfigError with all problems in one message.
 */
export function readConfig(environment: Environment): Config {
  const reader = new EnvironmentReader(environment);
  const mode = reader.choice('MODE', ['sandbox', 'live', 'rehearsal']) ?? 'sandbox';
  const config = mode === 'sandbox' ? readSandbox(reader) : readLive(reader, mode);
  if (reader.problems.length > 0) {
    throw new ConfigError(
      `The configuration cannot be used:\n${reader.problems.map((problem) => `  - ${problem}`).join('\n')}`,
    );
  }
  config.notices.push(...postgresNotice(environment));
  return config;
}

function readCommon(reader: EnvironmentReader): Omit<CommonConfig, 'providers' | 'notices'> {
  const host = reader.read('HOST', hostName) ?? '127.0.0.1';
  const listenPort = reader.read('PORT', port) ?? 8080;
  const urlHost = host.includes(':') ? `[${host}]` : host;
  const publicUrl = reader.read('PUBLIC_URL', httpUrl) ?? `http://${urlHost}:${listenPort}`;
  return {
    host,
    port: listenPort,
    publicUrl: publicUrl.replace(/\/+$/, ''),
    trustedProxies: reader.read('TRUSTED_PROXIES', trustedProxies) ?? false,
    dataDir: realPath(reader.text('DATA_DIR') ?? '.data'),
    cacheDir: realPath(reader.text('CACHE_DIR') ?? defaultCacheDir(reader)),
    executor: reader.choice('EXECUTOR', EXECUTORS) ?? 'local',
    workerConcurrency: reader.read('WORKER_CONCURRENCY', concurrency) ?? defaultConcurrency(),
    leaseSeconds: LEASE_SECONDS,
    retrySeconds: RETRY_SECONDS,
    pulumi: {
      backendUrl: reader.secret(
        'PULUMI_BACKEND_URL',
        (reader.text('MODE') ?? 'sandbox') === 'sandbox' ? sandboxBackendUrl : backendUrl,
      ),
      passphrase: reader.exactSecret('PULUMI_CONFIG_PASSPHRASE', passphrase),
    },
    tools: {
      pulumi: reader.text('AGENT_STACKS_PULUMI'),
      ansible: reader.text('AGENT_STACKS_ANSIBLE'),
      act: reader.text('AGENT_STACKS_ACT'),
      machines: readMachineTools(reader),
    },
    software: readAgentSoftware(reader),
    childEnvironment: childEnvironment(reader, [host, new URL(publicUrl).hostname]),
  };
}

function defaultCacheDir(reader: EnvironmentReader): string {
  const home = reader.text('HOME') ?? homedir();
  if (platform() === 'darwin') return join(home, 'Library', 'Caches', 'agent-stacks');
  return join(reader.text('XDG_CACHE_HOME') ?? join(home, '.cache'), 'agent-stacks');
}

/** An operation in flight takes about 300 MB with its runner, and half a core while it is not waiting. */
function defaultConcurrency(): number {
  const byCores = availableParallelism() * 2;
  const byMemory = Math.floor(totalmem() / 2 / 300e6);
  return Math.max(1, Math.min(byCores, byMemory, 16));
}

function readSandbox(reader: EnvironmentReader): SandboxConfig {
  const common = readCommon(reader);
  if (!['127.0.0.1', '::1', 'localhost'].includes(common.host)) {
    reader.problems.push(
      `HOST must be a loopback address in sandbox mode (127.0.0.1, ::1 or localhost), not ${common.host}`,
    );
  }
  const ignored = IGNORED_IN_SANDBOX.filter((name) => reader.text(name) !== undefined);
  return {
    ...common,
    mode: 'sandbox',
    leaseSeconds: reader.read('LEASE_SECONDS', leaseSeconds) ?? common.leaseSeconds,
    retrySeconds: reader.read('RETRY_SECONDS', retrySeconds) ?? common.retrySeconds,
    databaseUrl: reader.secret('DATABASE_URL', postgresUrl),
    apiToken: reader.secret('API_TOKEN', apiToken),
    providers: reader.choice('PROVIDERS', ['builtin', 'official']) ?? 'builtin',
    notices:
      ignored.length > 0
        ? [`Sandbox mode ignores ${ignored.join(', ')}: nothing outside this machine is called.`]
        : [],
    sandbox: {
      machines: readMachinesWish(reader, common.tools.machines),
      github: reader.choice('SANDBOX_GITHUB', ['on', 'no-token']) ?? 'on',
      validateAnswers: reader.text('SANDBOX_VALIDATE_ANSWERS') === '1',
      users: [reader.read('SUDO_UID', userId)].filter((user) => user !== undefined),
    },
  };
}

function readLive(reader: EnvironmentReader, mode: LiveConfig['mode']): LiveConfig {
  const common = readCommon(reader);
  const providers = reader.choice('PROVIDERS', ['builtin', 'official']) ?? 'official';
  if (mode === 'live' && providers === 'builtin') {
    reader.problems.push('PROVIDERS must be official in live mode: the builtin ones are the sandbox’s');
  }
  if (mode === 'rehearsal') refuseOutside(reader);
  const config: LiveConfig = {
    ...common,
    mode,
    ...(mode === 'rehearsal' && {
      retrySeconds: reader.read('RETRY_SECONDS', retrySeconds) ?? common.retrySeconds,
    }),
    databaseUrl: reader.requiredSecret(
      'DATABASE_URL',
      postgresUrl,
      'live mode keeps its rows in a Postgres of yours',
    ),
    apiToken: reader.requiredSecret(
      'API_TOKEN',
      apiToken,
      'it guards the operator’s routes (make one: openssl rand -hex 24)',
    ),
    providers,
    notices: [],
    accounts: readAccounts(reader, common.executor),
  };
  config.notices.push(...liveNotices(config));
  if (runsElsewhere(common.executor) && reader.text('PUBLIC_URL') === undefined)
    config.notices.push(`PUBLIC_URL is not set: runners are told to report to ${common.publicUrl}`);
  if (reader.text('PULUMI_CONFIG_PASSPHRASE') === undefined) {
    reader.problems.push(
      'PULUMI_CONFIG_PASSPHRASE is missing: it encrypts the secrets in the stacks’ state (make one: openssl rand -hex 24)',
    );
  }
  return config;
}

function liveNotices({ executor, accounts }: LiveConfig): string[] {
  if (!runsElsewhere(executor)) return [];
  const { missingKeys, github } = accounts;
  const noDispatch = missingForDispatch(github);
  return [
    ...(noDispatch === undefined ? [] : [noDispatch]),
    ...(missingKeys.length === 0
      ? []
      : [
          `Without ${missingKeys.join(' and ')} this service does not look at the clouds: no sweep, no check of the project.`,
        ]),
  ];
}

/** Where the operator's commands look for the running service. What is undefined stands in `sandboxFile`. */
export interface ClientConfig {
  url: string | undefined;
  apiToken: Secret | undefined;
  /** `sandbox.json` of a service in sandbox mode; there while that runs. */
  sandboxFile: string;
}

/** Reads what the operator's commands need. @throws ConfigError */
export function readClientConfig(environment: Environment = process.env): ClientConfig {
  const reader = new EnvironmentReader(environment);
  const url = reader.read('PUBLIC_URL', httpUrl)?.replace(/\/+$/, '');
  const config = {
    url,
    apiToken: reader.secret('API_TOKEN'),
    sandboxFile: join(resolve(reader.text('DATA_DIR') ?? '.data'), 'sandbox.json'),
  };
  if (reader.problems.length > 0) throw new ConfigError(reader.problems.join('\n'));
  return config;
}
