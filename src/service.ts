import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createVault } from './agents/secrets.ts';
import { recordInputs } from './agents/store.ts';
import { createHealthCheck, type HealthCheck } from './clients/health.ts';
import { createHetznerClient } from './clients/hetzner/hetzner.ts';
import { createHetznerInventory } from './clients/hetzner/inventory.ts';
import { playbookVersion } from './clients/playbook.ts';
import { providerEnvironment, pulumiEnvironment } from './clients/pulumi/environment.ts';
import { createOpenFence, type Fence, openFence } from './clients/pulumi/fence.ts';
import {
  createPostgresStateStore,
  passiveStateStore,
  type StateStore,
} from './clients/pulumi/state-store.ts';
import type { TailnetPlace } from './clients/tailnet/place.ts';
import { createTailscaleClient } from './clients/tailscale/tailscale.ts';
import type { Config } from './config.ts';
import { type Connections, fingerprint } from './connections.ts';
import { openControllerPlace } from './controller-place.ts';
import { createPool, type Database } from './database/connect.ts';
import { createLocalExecutor, type Executor } from './executors/local/executor.ts';
import { createRunnerPool, type RunnerPool } from './executors/local/runner-pool.ts';
import { removeLeftWork } from './executors/local/runner-process.ts';
import type { Log } from './log.ts';
import type { Runbooks } from './operations/attempt.ts';
import { settleDeadWorkers } from './operations/expired.ts';
import { createFoundationStore } from './operations/foundation-store.ts';
import { startWorker } from './operations/worker.ts';
import type { Queue } from './queue/queue.ts';
import { startHealthMonitor } from './reconcile/health-monitor.ts';
import { checkHetznerProject } from './reconcile/project.ts';
import { startSweeping } from './reconcile/schedule.ts';
import type { SweepDeps } from './reconcile/sweep.ts';
import { createRunbooks } from './runbooks.ts';
import { endSurvivors, INSTALLATION_MARK, WORKER_MARK, workerMark } from './survivors.ts';

const ANSIBLE_DIR = fileURLToPath(new URL('../ansible', import.meta.url));
const CONFIGURE_TIMEOUT_SECONDS = 900;

export interface ServiceDeps {
  config: Config;
  connections: Connections;
  database: Database;
  queue: Queue;
  log: Log;
}

export interface RunningWorker {
  stop(): Promise<void>;
}

/** Puts a worker together and starts it: clouds, executor, runbooks, and the loop that takes operations. */
export async function startWorkerRole(deps: ServiceDeps): Promise<RunningWorker> {
  const { config, connections, database, queue, log } = deps;
  const installation = fingerprint(connections.databaseUrl.reveal());
  const survivors = await endSurvivors(installation);
  if (survivors.length > 0)
    log.warn({ event: 'survivors.ended', pids: survivors }, 'ended what a killed worker left running');
  await removeLeftWork(runsDir(config));
  await settleDeadWorkers(database, queue, log);
  await checkHetznerProject({ database, hetzner: createHetznerClient(connections.hcloud), log });
  const marks = { [INSTALLATION_MARK]: installation, [WORKER_MARK]: workerMark() };
  const place = await openControllerPlace({ config, connections, marks, log });
  const health = createHealthCheck(connections.healthAddress, place?.dial);
  const runners = createRunners(deps, marks);
  const pulumi = await openState(deps);
  const executor = createExecutor(deps, runners, pulumi.state, place);
  const worker = await startWorker({
    database,
    queue,
    log,
    fence: pulumi.fence,
    runbooks: assembleRunbooks(deps, executor, pulumi, health),
    leaseSeconds: config.leaseSeconds,
    retrySeconds: config.retrySeconds,
    concurrency: config.workerConcurrency,
    workerId: `${hostname()}:${process.pid}:${randomUUID().slice(0, 8)}`,
  });
  const sweeping = startSweeping({ database, log, openClouds: sweptClouds(connections) });
  const canReachAgents = async () => place === undefined || (await place.isUp());
  const monitor = startHealthMonitor({ database, health, canReachAgents, log });
  return {
    stop: async () => {
      await Promise.all([monitor.stop(), sweeping.stop(), worker.stop()]);
      await runners.stop();
      await place?.stop();
      await pulumi.close();
    },
  };
}

/** The clouds as a sweep uses them: every call is counted. */
function sweptClouds({ hcloud, tailscale }: Connections): SweepDeps['openClouds'] {
  return (watches) => ({
    hetzner: createHetznerInventory(hcloud, watches.hetzner),
    tailscale: createTailscaleClient(tailscale, watches.tailscale),
  });
}

interface PulumiState {
  state: StateStore;
  fence: Fence;
  close(): Promise<void>;
}

/** What we do with Pulumi's state besides its CLI; backends other than Postgres have to do without. */
async function openState({ connections, log }: ServiceDeps): Promise<PulumiState> {
  const backendUrl = connections.pulumi.url;
  if (!/^postgres(ql)?:/.test(backendUrl.reveal())) {
    return { state: passiveStateStore, fence: createOpenFence(backendUrl), close: async () => {} };
  }
  const database = decodeURIComponent(new URL(backendUrl.reveal()).pathname.slice(1));
  const pool = createPool(backendUrl, 4, 'agent-stacks state');
  const fence = await openFence({ pool, backendUrl, log });
  return {
    state: createPostgresStateStore(pool, { database, project: 'agents' }),
    fence,
    close: () => pool.end(),
  };
}

const runsDir = (config: Config) => join(config.dataDir, 'runs');

function createRunners({ config, connections }: ServiceDeps, marks: Record<string, string>): RunnerPool {
  return createRunnerPool({
    settings: {
      ...(config.tools.pulumi === undefined ? {} : { pulumi: config.tools.pulumi }),
      ...(connections.providerHost === undefined ? {} : { providerHost: connections.providerHost }),
      workDir: runsDir(config),
    },
    environment: config.childEnvironment,
    marks,
    idle: config.workerConcurrency,
  });
}

function createExecutor(
  { config, connections }: ServiceDeps,
  pool: RunnerPool,
  state: StateStore,
  place: TailnetPlace | undefined,
): Executor {
  return createLocalExecutor({
    pool,
    state,
    environment: { ...pulumiEnvironment(connections.pulumi), ...providerEnvironment(connections) },
    configure: {
      path: join(ANSIBLE_DIR, 'configure'),
      connection: connections.machines,
      proxyCommand: place?.proxyCommand,
      ansibleBin: config.tools.ansible,
      timeoutSeconds: CONFIGURE_TIMEOUT_SECONDS,
      logDir: join(config.dataDir, 'logs', 'configure'),
    },
  });
}

function assembleRunbooks(
  { connections, database }: ServiceDeps,
  executor: Executor,
  { state, fence }: PulumiState,
  health: HealthCheck,
): Runbooks {
  return createRunbooks({
    clouds: {
      hetzner: createHetznerClient(connections.hcloud),
      tailscale: createTailscaleClient(connections.tailscale),
    },
    executor,
    state,
    health,
    vault: createVault(connections.pulumi.passphrase),
    foundations: createFoundationStore(database, fence),
    recordInputs: (run, { inputs, secrets }) =>
      recordInputs(database, run.agent.agent_id, { inputs: { ...inputs }, secrets }),
    configurationVersion: playbookVersion(ANSIBLE_DIR),
    loginServer: connections.tailscale.loginServer,
    pollInterval: connections.hcloud.pollInterval,
  });
}
