import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createSealNew } from '../agents/agent-record.ts';
import { createVault } from '../agents/secrets.ts';
import { createSnapshotSeal } from '../agents/snapshot-seal.ts';
import type { Config } from '../config/config.ts';
import type { PlanServers } from '../config/plans.ts';
import { JOIN_SECONDS } from '../config/timing.ts';
import { type EngineConnections, HEALTH_PORT, projectNamed } from '../connections/connections.ts';
import type { Log } from '../log.ts';
import type { Runbooks } from '../operations/attempt.ts';
import type {
  AgentSnapshotParts,
  ImageParts,
  LastSnapshotParts,
  ProjectParts,
  ProvisionSettings,
  RecordInputs,
  RecordSnapshot,
  RunbookParts,
  SlotParts,
} from '../operations/runbook-parts.ts';
import { createRunbooks } from '../operations/runbooks.ts';
import { createEnginePool, type EnginePool } from '../pulumi/engine/engine-pool.ts';
import { type PreparedAnsible, prepareAnsible } from '../pulumi/engine/prepared-ansible.ts';
import { createStackEngine, type StackEngine } from '../pulumi/engine/stack-engine.ts';
import { providerEnvironment, pulumiEnvironment } from '../pulumi/environment.ts';
import type { StatePassphrases } from '../pulumi/state-passphrases.ts';
import type { StateStore } from '../pulumi/state-store.ts';
import '../runbooks/all.ts';
import { takeStackOver } from '../runbooks/steps/adoption.ts';
import { ensureFoundation } from '../runbooks/steps/foundation.ts';
import type { FoundationStore } from '../runbooks/steps/foundation-store.ts';
import { createHealthCheck, type HealthCheck } from '../tailnet/agent-health.ts';
import { type NodeConfig, openControllerNode } from '../tailnet/controller-node.ts';
import type { HandOver } from '../tailnet/hand-over.ts';
import type { TailnetNode } from '../tailnet/node.ts';
import { createTailscaleClient } from '../tailscale/tailscale.ts';
import { openAdmission } from './admission.ts';
import { configurationVersion } from './configuration-version.ts';
import { type OpenHandOver, openHandOver } from './hand-over.ts';
import { openProjects } from './open-projects.ts';
import { createPlaybookKey } from './playbook-check.ts';

const ANSIBLE_DIR = fileURLToPath(new URL('../../ansible', import.meta.url));
const CONFIGURE = join(ANSIBLE_DIR, 'configure');
const CONFIGURE_TIMEOUT_SECONDS = 900;
const HEALTH_TIMEOUT_SECONDS = 120;

export interface EngineParts {
  config: NodeConfig &
    Pick<Config, 'software'> & {
      tools: Pick<Config['tools'], 'pulumi' | 'ansible'>;
    };
  connections: EngineConnections;
  state: StateStore;
  passphrases: StatePassphrases | undefined;
  foundations: FoundationStore;
  recordInputs: RecordInputs;
  recordSnapshot: RecordSnapshot;
  /** The snapshots of agents. */
  snapshots: { lastSnapshots: LastSnapshotParts; agentSnapshots: AgentSnapshotParts };
  /** The slots of agents. */
  slots: (handOver: HandOver, canReach: () => Promise<boolean>) => SlotParts;
  /** The images that new servers may be made from; a runner has none. */
  images?: ImageParts;
  /** Where agents may go whose project is full. */
  projects?: ProjectParts;
  /** The servers of plans that the operator has described; a runner gets them with its claim. */
  planServers?: PlanServers;
  /** How long a new server may take to join the tailnet; default `JOIN_SECONDS`. */
  joinSeconds?: number;
  /** Tags that mark the child processes as this process's own. */
  processTags: Record<string, string>;
  /** How many idle engine processes to keep for the next attempt. */
  idle: number;
  /** Whether servers that were made by hand are adopted here; not on a runner. */
  adopts?: boolean;
  /** Simulated machines: a version of the playbook is checked once, not for every agent. */
  checksOnce?: boolean;
  log: Log;
}

/** Executes operations, in a worker or on a GitHub runner. */
export interface Engine {
  runbooks: Runbooks;
  /** What the runbooks use, for work that is no operation. */
  parts: RunbookParts;
  health: HealthCheck;
  /** The node through which agents are reached; undefined if this host's own network reaches them. */
  node: TailnetNode | undefined;
  /** Whether this process can reach servers at all: it has lost the tailnet otherwise. */
  canReach(): Promise<boolean>;
  /** The engine processes, at work and idle. */
  engines(): { busy: number; idle: number };
  handOver: OpenHandOver;
  stop(): Promise<void>;
}

export async function openEngine(parts: EngineParts): Promise<Engine> {
  const { config, connections, state, processTags, log } = parts;
  const node = await openControllerNode({ config, connections, processTags, log });
  const health = createHealthCheck(connections.healthAddress, node?.dial);
  const canReach = async () => node === undefined || (await node.isUp());
  const handOver = openHandOver(connections, node?.dial);
  const pool = openPool(parts);
  const prepared = openPreparedAnsible(parts);
  const executor = openStackEngine(parts, { pool, node, prepared });
  const openProject = openProjects(connections);
  const runbookParts: RunbookParts = {
    hetzner: openProject(connections.hcloud.projects[0].name),
    openProject,
    ownProjects: connections.hcloud.projects.map(({ name }) => name),
    tailscale: createTailscaleClient(connections.tailscale),
    ...{ executor, state, health },
    vault: createVault(connections.pulumi.keyring),
    sealNew: createSealNew(connections.pulumi.keyring),
    snapshotSeal: createSnapshotSeal(connections.pulumi.keyring),
    settings: provisionSettings(parts),
    ensureFoundation: (run, project) =>
      ensureFoundation({ ...parts, executor, hetzner: openProject(project) }, run, project),
    recordInputs: parts.recordInputs,
    recordSnapshot: parts.recordSnapshot,
    ...{ ...parts.snapshots, ...(parts.images && { images: parts.images }) },
    ...(parts.projects && { projects: parts.projects }),
    slots: parts.slots(handOver.handOver, canReach),
    ...(parts.adopts && { admission: openAdmission(connections, node?.dial) }),
    takeStackOver: (run) => takeStackOver(runbookParts, run),
  };
  return {
    runbooks: createRunbooks(runbookParts),
    parts: runbookParts,
    health,
    node,
    canReach,
    engines: pool.count,
    handOver,
    stop: () => stopAll({ handOver, pool, prepared, node }),
  };
}

async function stopAll(started: {
  handOver: OpenHandOver;
  pool: EnginePool;
  prepared: PreparedAnsible | undefined;
  node: TailnetNode | undefined;
}): Promise<void> {
  started.handOver.close?.();
  await started.pool.stop();
  await started.prepared?.stop();
  await started.node?.stop();
}

function provisionSettings(parts: EngineParts): ProvisionSettings {
  const { planServers } = parts;
  const { hcloud, tailscale } = parts.connections;
  return {
    healthPort: HEALTH_PORT,
    configurationVersion: versionOf(parts),
    joinTimeoutSeconds: parts.joinSeconds ?? JOIN_SECONDS,
    healthTimeoutSeconds: HEALTH_TIMEOUT_SECONDS,
    loginServer: tailscale.loginServer,
    pollInterval: hcloud.pollInterval,
    ...(planServers && { planServers }),
  };
}

/** Returns the folder in which each run has its work folder. */
export const runsDir = (config: Pick<Config, 'dataDir'>) => join(config.dataDir, 'runs');

interface EngineProcesses {
  pool: EnginePool;
  node: TailnetNode | undefined;
  prepared: PreparedAnsible | undefined;
}

function openStackEngine(parts: EngineParts, { pool, node, prepared }: EngineProcesses): StackEngine {
  const { config, connections, state } = parts;
  const logDir = join(config.dataDir, 'logs', 'configure');
  return createStackEngine({
    pool,
    state,
    log: parts.log,
    passphrases: parts.passphrases,
    keyring: connections.pulumi.keyring,
    environment: (project) => environmentFor(connections, project),
    secrets: connections.pulumi.secrets,
    configure: {
      path: CONFIGURE,
      connection: connections.machines,
      proxyCommand: node?.proxyCommand,
      ansibleBin: config.tools.ansible,
      timeoutSeconds: CONFIGURE_TIMEOUT_SECONDS,
      logDir,
      prepared: prepared?.environment,
      checkedFile: parts.checksOnce === true ? createCheckedFile(parts, logDir) : undefined,
      software: config.software.variables,
    },
  });
}

function environmentFor(
  { pulumi, hcloud, tailscale }: EngineConnections,
  name: string | undefined,
): Record<string, string> {
  const project = projectNamed(hcloud.projects, name);
  return { ...pulumiEnvironment(pulumi), ...providerEnvironment({ project, tailscale }) };
}

/** Simulated machines need none: their runs only check the playbook, once. */
function openPreparedAnsible({ config, connections, processTags, log }: EngineParts) {
  if (connections.machines === 'simulated') return undefined;
  const { childEnvironment: environment, tools } = config;
  return prepareAnsible({ path: CONFIGURE, ansibleBin: tools.ansible, environment, processTags, log });
}

/** Names the file for the playbook as it is now: one that was changed meanwhile is checked again. */
function createCheckedFile({ config, connections }: EngineParts, logDir: string): () => string {
  const playbookKey = createPlaybookKey({
    folder: ANSIBLE_DIR,
    software: config.software,
    key: connections.pulumi.keyring.versions,
    ansible: config.tools.ansible,
    path: config.childEnvironment.PATH ?? '',
  });
  return () => join(logDir, `checked-${playbookKey()}`);
}

/** The version of the playbook that this process configures servers with. */
export const versionOf = ({ config, connections }: Pick<EngineParts, 'config' | 'connections'>): string =>
  configurationVersion(ANSIBLE_DIR, config.software, connections.pulumi.keyring.versions);

function openPool({ config, connections, processTags, idle, log }: EngineParts): EnginePool {
  return createEnginePool({
    settings: {
      ...(config.tools.pulumi === undefined ? {} : { pulumi: config.tools.pulumi }),
      ...(connections.providerHost === undefined ? {} : { providerHost: connections.providerHost }),
      workDir: runsDir(config),
    },
    environment: config.childEnvironment,
    processTags,
    idle,
    log,
  });
}
