import type { Secret } from '../secret.ts';
import { type LiveAccounts, readAccounts } from './accounts.ts';
import { type CommonConfig, readCommon } from './common.ts';
import { ConfigError } from './config-error.ts';
import { readFiles } from './credential-files.ts';
import { type Environment, EnvironmentReader } from './environment-reader.ts';
import { runsElsewhere } from './executor-name.ts';
import {
  apiToken,
  joinSeconds,
  leaseSeconds,
  postgresUrl,
  retrySeconds,
  sandboxLimit,
  userId,
} from './fields.ts';
import { missingForDispatch } from './github-account.ts';
import { DEFAULT_PROJECT } from './hetzner-projects.ts';
import { type MachinesMode, readMachinesMode } from './machine-tools.ts';
import { checkPoolPlaces } from './pool-places.ts';
import { postgresNotice } from './process-environment.ts';
import { refuseOutside } from './rehearsal-endpoints.ts';
import { versionProblem } from './secrets-provider.ts';
import { onlyLocalProvider } from './sign-in.ts';
import { onlyLoopback } from './telemetry.ts';

/** Which roles one process takes: the web server, a worker, or both. */
export const ROLES = ['all', 'api', 'worker'] as const;
export type Role = (typeof ROLES)[number];

export interface SandboxConfig extends CommonConfig {
  mode: 'sandbox';
  databaseUrl: Secret | undefined;
  apiToken: Secret | undefined;
  sandbox: {
    machines: MachinesMode;
    github: 'on' | 'no-token';
    /**
     * Whether Stripe's events go to this installation by themselves; otherwise to endpoints that are made.
     */
    webhook: 'on' | 'off';
    /** Whether the first start buys an agent, so that a newcomer sees one. */
    demoOrder: 'on' | 'off';
    /** Checks every answer of the sandbox's Hetzner API against the official document (slow; for tests). */
    validateAnswers: boolean;
    /** Quota and server limit of the sandbox's Hetzner project; undefined: the sandbox's own defaults. */
    requestsPerHour: number | undefined;
    maxServers: number | undefined;
    /** On simulated machines: every version of the playbook once, or for every agent (for tests). */
    checksPlaybook: 'once' | 'always';
    /**
     * Ids of users who may use the sandbox's controls besides this process's own: the user who became root
     * with sudo.
     */
    users: number[];
  };
}

/** A rehearsal is live mode with all its endpoints on loopback (src/connections/rehearsal.ts). */
export interface LiveConfig extends CommonConfig {
  mode: 'live' | 'rehearsal';
  databaseUrl: Secret;
  apiToken: Secret;
  accounts: LiveAccounts;
}

export type Config = SandboxConfig | LiveConfig;

const IGNORED_IN_SANDBOX = [
  'STRIPE_SECRET_KEY',
  'STRIPE_WEBHOOK_SECRET',
  'STRIPE_API_URL',
  'HCLOUD_TOKEN',
  'HCLOUD_PROJECTS',
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
 * Reads the environment, and the files that it names. Nothing else does.
 * @param isAgain whether the files have changed since the start
 * @throws ConfigError with all problems in one message.
 */
export function readConfig(given: Environment, isAgain = false): Config {
  const { environment, problems } = readFiles(given, isAgain);
  const reader = new EnvironmentReader(environment);
  reader.problems.push(...problems);
  const mode = reader.choice('MODE', ['sandbox', 'live', 'rehearsal']) ?? 'sandbox';
  const config = mode === 'sandbox' ? readSandbox(reader) : readLive(reader, mode);
  const projects =
    config.mode === 'sandbox'
      ? [{ name: DEFAULT_PROJECT, locations: undefined }]
      : config.accounts.hcloud.projects;
  checkPoolPlaces(reader, config.pool, projects);
  if (reader.problems.length > 0) {
    throw new ConfigError(
      `Invalid configuration:\n${reader.problems.map((problem) => `  - ${problem}`).join('\n')}`,
      reader.problems,
    );
  }
  config.notices.push(...postgresNotice(environment));
  return config;
}

const isLoopbackHost = (host: string) => ['127.0.0.1', '::1', 'localhost'].includes(host);

function readSandbox(reader: EnvironmentReader): SandboxConfig {
  const common = readCommon(reader);
  if (!isLoopbackHost(common.host)) {
    reader.problems.push(
      `HOST must be a loopback address in sandbox mode (127.0.0.1, ::1 or localhost), not ${common.host}`,
    );
  }
  if (common.operator !== undefined && !isLoopbackHost(common.operator.host))
    reader.problems.push(
      `OPERATOR_HOST must be a loopback address in sandbox mode, not ${common.operator.host}`,
    );
  const ignored = IGNORED_IN_SANDBOX.filter((name) => reader.text(name) !== undefined);
  const { telemetry, notices } = onlyLoopback(common.telemetry);
  const local = onlyLocalProvider(common.signIn);
  return {
    ...common,
    mode: 'sandbox',
    telemetry,
    signIn: local.signIn,
    leaseSeconds: reader.read('LEASE_SECONDS', leaseSeconds) ?? common.leaseSeconds,
    retrySeconds: reader.read('RETRY_SECONDS', retrySeconds) ?? common.retrySeconds,
    joinSeconds: reader.read('JOIN_SECONDS', joinSeconds) ?? common.joinSeconds,
    databaseUrl: reader.secret('DATABASE_URL', postgresUrl),
    apiToken: reader.secret('API_TOKEN', apiToken),
    providers: reader.choice('PROVIDERS', ['builtin', 'official']) ?? 'builtin',
    notices: [
      ...(ignored.length > 0
        ? [`Sandbox mode ignores ${ignored.join(', ')}: it calls nothing outside this machine.`]
        : []),
      ...notices,
      ...local.notices,
    ],
    sandbox: readSandboxSettings(reader, common),
  };
}

function readSandboxSettings(
  reader: EnvironmentReader,
  common: Pick<CommonConfig, 'tools'>,
): SandboxConfig['sandbox'] {
  return {
    machines: readMachinesMode(reader, common.tools.machines),
    github: reader.choice('SANDBOX_GITHUB', ['on', 'no-token']) ?? 'on',
    webhook: reader.choice('SANDBOX_WEBHOOK', ['on', 'off']) ?? 'on',
    demoOrder: reader.choice('SANDBOX_DEMO_ORDER', ['on', 'off']) ?? 'on',
    checksPlaybook: reader.choice('SANDBOX_PLAYBOOK_CHECK', ['once', 'always']) ?? 'once',
    validateAnswers: reader.text('SANDBOX_VALIDATE_ANSWERS') === '1',
    requestsPerHour: reader.read('SANDBOX_REQUESTS_PER_HOUR', sandboxLimit),
    maxServers: reader.read('SANDBOX_MAX_SERVERS', sandboxLimit),
    users: [reader.read('SUDO_UID', userId)].filter((user) => user !== undefined),
  };
}

function readLive(reader: EnvironmentReader, mode: LiveConfig['mode']): LiveConfig {
  const common = readCommon(reader);
  const providers = reader.choice('PROVIDERS', ['builtin', 'official']) ?? 'official';
  if (mode === 'live' && providers === 'builtin') {
    reader.problems.push(
      'PROVIDERS must be official in live mode: the built-in providers belong to the sandbox',
    );
  }
  if (mode === 'rehearsal') refuseOutside(reader);
  const config: LiveConfig = {
    ...common,
    mode,
    ...(mode === 'rehearsal' && {
      retrySeconds: reader.read('RETRY_SECONDS', retrySeconds) ?? common.retrySeconds,
      joinSeconds: reader.read('JOIN_SECONDS', joinSeconds) ?? common.joinSeconds,
    }),
    databaseUrl: reader.requiredSecret('DATABASE_URL', postgresUrl, 'live mode needs your own Postgres'),
    apiToken: reader.requiredSecret(
      'API_TOKEN',
      apiToken,
      'it protects the operator’s routes (generate one: openssl rand -hex 24)',
    ),
    providers,
    notices: [],
    accounts: readAccounts(reader, common.executor),
  };
  config.notices.push(...liveNotices(config));
  if (runsElsewhere(common.executor) && reader.text('PUBLIC_URL') === undefined)
    config.notices.push(`PUBLIC_URL is not set: runners will report to ${common.publicUrl}`);
  if (reader.text('PULUMI_CONFIG_PASSPHRASE') === undefined) {
    reader.problems.push(
      'PULUMI_CONFIG_PASSPHRASE is missing: it encrypts the secrets in the stacks’ state (generate one: openssl rand -hex 24)',
    );
  }
  return config;
}

function liveNotices({ executor, accounts, pulumi }: LiveConfig): string[] {
  const unversioned = versionProblem(pulumi.secrets.url);
  const notices = unversioned === undefined ? [] : [`${unversioned.detail}. ${unversioned.cure}`];
  if (!runsElsewhere(executor)) return notices;
  const { missingKeys, github } = accounts;
  const noDispatch = missingForDispatch(github);
  return [
    ...notices,
    ...(noDispatch === undefined ? [] : [noDispatch]),
    ...(missingKeys.length === 0
      ? []
      : [
          `Without ${missingKeys.join(' and ')} this service cannot reach what the keys are for: there sweep and project check are off.`,
        ]),
  ];
}
