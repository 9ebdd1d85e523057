import { availableParallelism, homedir, platform, totalmem } from 'node:os';
import { join } from 'node:path';
import { realPath } from '../processes/real-path.mjs';
import type { Secret } from '../secret.ts';
import { type BackupExpectation, readBackupSettings } from './backup-expectation.ts';
import type { BackupConfig } from './backups.ts';
import { type BillingConfig, readBilling } from './billing.ts';
import { type BuyerPage, readBuyerPage } from './buyer-page.ts';
import { type CanaryConfig, readCanary } from './canary.ts';
import { type Consoles, readHetznerProjectIds } from './consoles.ts';
import { duration } from './durations.ts';
import type { EnvironmentReader } from './environment-reader.ts';
import { EXECUTORS, type ExecutorName } from './executor-name.ts';
import {
  apiToken,
  backendUrl,
  concurrency,
  hostName,
  httpUrl,
  port,
  sandboxBackendUrl,
  type TrustedProxies,
  trustedProxies,
} from './fields.ts';
import { type Limits, readLimits } from './limits.ts';
import { type MachineTools, readMachineTools } from './machine-tools.ts';
import { type NoticeConfig, readNotices } from './notices.ts';
import { addressOf, type OperatorListener, readOperatorListener } from './operator-listener.ts';
import { readPassphrases } from './passphrases.ts';
import { type PoolSettings, readPool } from './pool.ts';
import { childEnvironment } from './process-environment.ts';
import { readSecretsProvider, type SecretsProvider } from './secrets-provider.ts';
import { readSignIn, type SignInConfig } from './sign-in.ts';
import { readSnapshots, type SnapshotPolicy } from './snapshots.ts';
import { type AgentSoftware, readAgentSoftware } from './software.ts';
import { readTelemetry, type TelemetryConfig } from './telemetry.ts';
import { JOIN_SECONDS, LEASE_SECONDS, RETRY_SECONDS } from './timing.ts';

/** What every mode has. */
export interface CommonConfig {
  host: string;
  port: number;
  publicUrl: string;
  /** Where dashboard and API listen; undefined: on `host` and `port` like everything else. */
  operator: OperatorListener | undefined;
  /** The proxies whose `X-Forwarded-For` is trusted. */
  trustedProxies: TrustedProxies;
  /** A token for the API that only reads; undefined: there is none. */
  viewerToken: Secret | undefined;
  /** A token for programs, which act harmlessly and propose the rest; undefined: there is none. */
  programToken: Secret | undefined;
  /** Ways to sign in besides tokens. */
  signIn: SignInConfig;
  dataDir: string;
  cacheDir: string;
  executor: ExecutorName;
  workerConcurrency: number;
  /** How long an attempt's lease lasts after its last renewal; configurable only in sandbox mode. */
  leaseSeconds: number;
  /**
   * Pause after an operation's first failed try. Sandbox mode and a rehearsal may shorten it to try failures
   * out.
   */
  retrySeconds: number;
  /** How long a new server may take to join the tailnet; as configurable as the pause. */
  joinSeconds: number;
  pulumi: {
    backendUrl: Secret | undefined;
    passphrase: Secret | undefined;
    /** The passphrase that this one replaces. */
    passphraseBefore: Secret | undefined;
    secrets: SecretsProvider;
  };
  /** Programs that the set-up found or installed; undefined ones are looked up on the PATH. */
  tools: {
    pulumi: string | undefined;
    ansible: string | undefined;
    act: string | undefined;
    machines: MachineTools;
  };
  /** What the service may do by itself before a person has to approve more. */
  limits: Limits;
  /** Servers that wait for customers. */
  pool: PoolSettings;
  /** The operator's choice of the agents' software. */
  software: AgentSoftware;
  /** Receivers of what happens to agents: webhooks and mail. */
  outgoing: NoticeConfig;
  /** Where traces and metrics go. */
  telemetry: TelemetryConfig;
  billing: BillingConfig;
  backups: BackupConfig;
  expectedBackups: BackupExpectation;
  canary: CanaryConfig;
  snapshots: SnapshotPolicy;
  /** Milliseconds from one restore drill to the next; undefined: only when a person asks. */
  drillEveryMs: number | undefined;
  buyerPage: BuyerPage;
  /** The numbers of the Hetzner projects, for links to its console. */
  hetznerProjectIds: Consoles['hetznerProjectIds'];
  providers: 'builtin' | 'official';
  /** What child processes inherit: the locations of programs, of the home folder and of certificates. */
  childEnvironment: Record<string, string>;
  /** Notices for the start, such as variables that this mode ignores. */
  notices: string[];
}

/** Reads what every mode has. Problems are collected in the reader. */
export function readCommon(reader: EnvironmentReader): Omit<CommonConfig, 'providers' | 'notices'> {
  const host = reader.read('HOST', hostName) ?? '127.0.0.1';
  const listenPort = reader.read('PORT', port) ?? 8080;
  const publicUrl = reader.read('PUBLIC_URL', httpUrl) ?? addressOf(host, listenPort);
  const operator = readOperatorListener(reader, { host, port: listenPort });
  const dataDir = realPath(reader.text('DATA_DIR') ?? '.data');
  return {
    host,
    port: listenPort,
    publicUrl: publicUrl.replace(/\/+$/, ''),
    operator,
    trustedProxies: reader.read('TRUSTED_PROXIES', trustedProxies) ?? false,
    ...readOtherTokens(reader),
    signIn: readSignIn(reader),
    dataDir,
    cacheDir: realPath(reader.text('CACHE_DIR') ?? defaultCacheDir(reader)),
    executor: reader.choice('EXECUTOR', EXECUTORS) ?? 'local',
    workerConcurrency: reader.read('WORKER_CONCURRENCY', concurrency) ?? defaultConcurrency(),
    leaseSeconds: LEASE_SECONDS,
    retrySeconds: RETRY_SECONDS,
    joinSeconds: JOIN_SECONDS,
    pulumi: readPulumi(reader),
    tools: readTools(reader),
    limits: readLimits(reader),
    pool: readPool(reader),
    software: readAgentSoftware(reader),
    outgoing: readNotices(reader),
    telemetry: readTelemetry(reader),
    ...readPlans(reader),
    canary: readCanary(reader),
    ...readBackupSettings(reader, dataDir),
    buyerPage: readBuyerPage(reader),
    hetznerProjectIds: readHetznerProjectIds(reader),
    childEnvironment: childEnvironment(
      reader,
      [host, new URL(publicUrl).hostname].concat(operator ? new URL(operator.url).hostname : []),
    ),
  };
}

/** What depends on a plan. */
function readPlans(reader: EnvironmentReader): Pick<CommonConfig, 'billing' | 'snapshots' | 'drillEveryMs'> {
  const billing = readBilling(reader);
  const drillEveryMs = reader.read('AGENT_SNAPSHOTS_DRILL_EVERY', duration);
  return { billing, snapshots: readSnapshots(reader, billing.plans), drillEveryMs };
}

function readPulumi(reader: EnvironmentReader): CommonConfig['pulumi'] {
  const isSandbox = (reader.text('MODE') ?? 'sandbox') === 'sandbox';
  return {
    backendUrl: reader.secret('PULUMI_BACKEND_URL', isSandbox ? sandboxBackendUrl : backendUrl),
    ...readPassphrases(reader),
    secrets: readSecretsProvider(reader, reader.text('MODE') !== 'live'),
  };
}

function readOtherTokens(reader: EnvironmentReader): Pick<CommonConfig, 'viewerToken' | 'programToken'> {
  const all = reader.secret('API_TOKEN')?.reveal();
  const viewerToken = reader.secret('VIEWER_TOKEN', apiToken);
  const programToken = reader.secret('PROGRAM_TOKEN', apiToken);
  if (viewerToken !== undefined && viewerToken.reveal() === all)
    reader.problems.push('VIEWER_TOKEN must differ from API_TOKEN: it only reads');
  if (programToken !== undefined && programToken.reveal() === all)
    reader.problems.push('PROGRAM_TOKEN must differ from API_TOKEN: it approves nothing');
  if (programToken !== undefined && programToken.reveal() === viewerToken?.reveal())
    reader.problems.push('PROGRAM_TOKEN must differ from VIEWER_TOKEN, which only reads');
  return { viewerToken, programToken };
}

function readTools(reader: EnvironmentReader): CommonConfig['tools'] {
  return {
    pulumi: reader.text('AGENT_STACKS_PULUMI'),
    ansible: reader.text('AGENT_STACKS_ANSIBLE'),
    act: reader.text('AGENT_STACKS_ACT'),
    machines: readMachineTools(reader),
  };
}

function defaultCacheDir(reader: EnvironmentReader): string {
  const home = reader.text('HOME') ?? homedir();
  if (platform() === 'darwin') return join(home, 'Library', 'Caches', 'agent-stacks');
  return join(reader.text('XDG_CACHE_HOME') ?? join(home, '.cache'), 'agent-stacks');
}

/**
 * A running operation takes about 300 MB with its engine process, and half a core while it is not waiting.
 */
function defaultConcurrency(): number {
  const byCores = availableParallelism() * 2;
  const byMemory = Math.floor(totalmem() / 2 / 300e6);
  return Math.max(1, Math.min(byCores, byMemory, 16));
}
