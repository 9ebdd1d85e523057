import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { startSealing } from '../audit/seal.ts';
import { createLastCheck } from '../billing/follow/last-check.ts';
import { TAILSCALE_KEY } from '../config/accounts.ts';
import type { ExecutorName } from '../config/executor-name.ts';
import { missingForDispatch } from '../config/github-account.ts';
import { type Connections, fingerprint } from '../connections/connections.ts';
import { type DispatcherDeps, startDispatcher } from '../executors/github-actions/dispatcher.ts';
import { settleDeadWorkers } from '../executors/worker/expired.ts';
import { startWorker } from '../executors/worker/worker.ts';
import { createGithubClient } from '../github/github.ts';
import { startDelivery } from '../notices/deliver.ts';
import { createReceivers } from '../notices/receivers.ts';
import type { IsStillWanted } from '../operations/last-check.ts';
import { startFolding } from '../operations/tallies.ts';
import { withdrawWaitingHarm } from '../operations/withdraw.ts';
import { INSTALLATION_TAG, killOrphans, WORKER_TAG, workerTag } from '../processes/orphans.ts';
import { removeOrphanedWork } from '../pulumi/engine/engine-process.ts';
import { openPulumiState } from '../pulumi/open-state.ts';
import { liveProbes } from '../reconcile/checks/live-probes.ts';
import { type CheckMonitor, startChecks } from '../reconcile/checks/monitor.ts';
import type { InstallationCheck } from '../reconcile/checks/store.ts';
import { startHealthMonitor } from '../reconcile/health-monitor.ts';
import { createHealthCheck, type HealthCheck } from '../tailnet/agent-health.ts';
import { openControllerNode } from '../tailnet/controller-node.ts';
import type { TailnetNode } from '../tailnet/node.ts';
import { openFollowing, openStillWanted, startFollowers } from './billing.ts';
import { openCanaries } from './canaries.ts';
import { startCloudSweep } from './cloud-sweep.ts';
import { runsDir } from './engine.ts';
import { startImages } from './images.ts';
import { openProviderMoves, openRekeying } from './keys.ts';
import { startRemovingSlots } from './leftover-slots.ts';
import { openLocalEngine, openRemover } from './local-engine.ts';
import { observeWork } from './observed.ts';
import { startPool } from './pool.ts';
import { type Pulse, startPulse } from './pulse.ts';
import { openReleasing } from './releasing.ts';
import { startSafekeeping } from './safekeeping.ts';
import type { ServiceDeps } from './service-deps.ts';
import { openSnapshots } from './snapshots.ts';
import { openUnmovedReport } from './unmoved-report.ts';

export interface RunningWorker {
  /** Problems with the configuration, printed at the start. */
  problems?(): InstallationCheck[];
  stop(): Promise<void>;
}

const newWorkerId = () => `${hostname()}:${process.pid}:${randomUUID().slice(0, 8)}`;

type ProcessTags = Record<string, string>;

/** What an executor needs. */
type WorkDeps = ServiceDeps & { isStillWanted: IsStillWanted | undefined; pulse: Pulse };

/** Starts the executor that the configuration chooses. */
const EXECUTORS: Record<ExecutorName, (deps: WorkDeps, processTags: ProcessTags) => Promise<RunningWorker>> =
  {
    local: startLocalWork,
    'github-actions': startRemoteWork,
  };

/**
 * Starts the executor, which runs operations here or as GitHub workflow runs, the sweep of the clouds, what
 * follows payments, the delivery of notices, and the sealing of the audit log.
 */
export async function startWorkerRole(deps: ServiceDeps): Promise<RunningWorker> {
  const { config, connections, database, queue, log } = deps;
  const receivers = createReceivers(config.outgoing);
  const installation = fingerprint(connections.databaseUrl.reveal());
  await cleanUp(installation, deps);
  await settleDeadWorkers(database, queue, log);
  const sweeping = await startCloudSweep(deps);
  const processTags = { [INSTALLATION_TAG]: installation, [WORKER_TAG]: workerTag() };
  const pulse = startPulse(deps);
  const payments = openFollowing(deps);
  if (payments?.billing !== 'act') await withdrawWaitingHarm(database, queue);
  const isStillWanted = payments && createLastCheck(payments);
  const { keyring } = connections.pulumi;
  // Before the first operation: an empty chain beside old operations counts as one that was emptied.
  const sealing = startSealing({ database, log, keyring }, { isDue: () => pulse.isDue('audit') });
  const work = await EXECUTORS[config.executor]({ ...deps, isStillWanted, pulse }, processTags);
  const followers = await startFollowers(deps, payments, () => pulse.isDue('payments'));
  const releasing = openReleasing(deps, openStillWanted(payments), () => pulse.isDue('limits'));
  const delivery = startDelivery(
    { database, log, receivers, clock: deps.clock },
    { isDue: (what) => pulse.isDue(what) },
  );
  const unmoved = openUnmovedReport(deps);
  const safekeeping = startSafekeeping(deps);
  const folding = startFolding(deps);
  const canaries = openCanaries(deps, () => pulse.isDue('canary'));
  const snapshots = openSnapshots(deps, pulse);
  const rekeying = openRekeying(deps);
  return {
    ...(work.problems && { problems: work.problems }),
    stop: async () => {
      await Promise.all([
        sweeping?.stop(),
        followers.stop(),
        releasing.stop(),
        work.stop(),
        delivery.stop(),
        sealing.stop(),
        rekeying.stop(),
        unmoved.stop(),
        safekeeping.stop(),
        folding.stop(),
        canaries.stop(),
        snapshots?.stop(),
        pulse.stop(),
      ]);
    },
  };
}

/** Ends the processes that a dead worker has left, and removes their files. */
async function cleanUp(installation: string, { config, log }: ServiceDeps): Promise<void> {
  const orphans = await killOrphans(installation);
  if (orphans.length > 0)
    log.warn({ event: 'orphans.killed', pids: orphans }, 'killed processes left by a dead worker');
  await removeOrphanedWork(runsDir(config));
}

/** Starts a local worker: engine, fence, and the loop that claims operations. */
async function startLocalWork(deps: WorkDeps, processTags: ProcessTags): Promise<RunningWorker> {
  const { config, connections, database, queue, log } = deps;
  const pulumi = await openPulumiState(connections.pulumi.url, log);
  const engine = await openLocalEngine(deps, pulumi, processTags);
  const workerId = newWorkerId();
  const checks = await startLiveChecks(deps, workerId, engine.node);
  const worker = await startWorker({
    database,
    queue,
    log,
    readiness: checks,
    isStillWanted: deps.isStillWanted,
    isTraced: deps.telemetry.isTraced,
    isDue: () => deps.pulse.isDue('operations'),
    fence: pulumi.fence,
    ...{ runbooks: engine.runbooks, projects: engine.parts.ownProjects },
    leaseSeconds: config.leaseSeconds,
    retrySeconds: config.retrySeconds,
    concurrency: config.workerConcurrency,
    workerId,
  });
  observeWork({ running: worker.active, engines: engine.engines });
  const monitor = startMonitor(deps, engine.health, engine.node);
  const pool = startPool(deps, { engine, fence: pulumi.fence, workerId });
  const images = startImages(deps, { engine, fence: pulumi.fence, workerId });
  const moves = openProviderMoves(deps, { engine, pulumi });
  // Workflow runs may still be active from before this executor was chosen. A run that dies without a
  // callback would block its agent for minutes.
  const runWatch = watchRuns(deps);
  return {
    ...(checks && { problems: checks.problems }),
    stop: async () => {
      await Promise.all([
        monitor.stop(),
        runWatch?.stop(),
        worker.stop(),
        pool.stop(),
        images.stop(),
        moves.stop(),
        checks?.stop(),
      ]);
      await engine.stop();
      await pulumi.close();
    },
  };
}

/** Starts the live checks. Sandbox mode needs none, because it has set everything up itself. */
async function startLiveChecks(
  { config, connections, database, log }: ServiceDeps,
  workerId: string,
  node: TailnetNode | undefined,
): Promise<CheckMonitor | undefined> {
  if (config.mode === 'sandbox') return undefined;
  return startChecks({
    database,
    workerId,
    concurrency: config.workerConcurrency,
    log,
    probes: liveProbes({ config, connections, database, node }),
  });
}

/** Dispatches operations to GitHub, and monitors agents' health from here if there is a route to them. */
async function startRemoteWork(deps: WorkDeps, processTags: ProcessTags): Promise<RunningWorker> {
  const { config, connections, log } = deps;
  const dispatcher = startDispatcher(dispatcherDeps(deps));
  await deps.queue.work(1, async () => dispatcher.wake());
  const node = !connections.missingKeys.includes(TAILSCALE_KEY)
    ? await openControllerNode({ config, connections, processTags, log })
    : undefined;
  // Without a node on the tailnet, a silent agent proves nothing.
  const hasRoute = node !== undefined || connections.machines === 'simulated';
  const health = createHealthCheck(connections.healthAddress, node?.dial);
  const monitor = hasRoute ? startMonitor(deps, health, node) : undefined;
  const leftover = startRemovingSlots({ ...deps, executor: config.executor, workerId: newWorkerId() }, () =>
    openRemover(deps, processTags),
  );
  return {
    stop: async () => {
      await Promise.all([monitor?.stop(), dispatcher.stop(), leftover.stop()]);
      await node?.stop();
    },
  };
}

function dispatcherDeps(deps: ServiceDeps): DispatcherDeps {
  return {
    ...deps,
    github: toDispatchClient(deps.connections),
    callbackSecret: deps.connections.github.callbackSecret,
    workerId: newWorkerId(),
    retrySeconds: deps.config.retrySeconds,
  };
}

/** Watches workflow runs if GitHub is configured, even while operations run locally. */
function watchRuns(deps: ServiceDeps): RunningWorker | undefined {
  if (missingForDispatch(deps.connections.github) !== undefined) return undefined;
  return startDispatcher({ ...dispatcherDeps(deps), watchesOnly: true });
}

function toDispatchClient({ github }: Connections): DispatcherDeps['github'] {
  const { owner, repo, token } = github;
  const missing = missingForDispatch(github);
  if (missing !== undefined || owner === undefined || repo === undefined || token === undefined)
    return { missing: missing ?? 'GitHub is not configured' };
  return { client: createGithubClient({ ...github, owner, repo, token }) };
}

function startMonitor(
  { database, log, pulse }: WorkDeps,
  health: HealthCheck,
  node: TailnetNode | undefined,
): RunningWorker {
  const canReachAgents = async () => node === undefined || (await node.isUp());
  const monitored = { database, health, canReachAgents, log };
  return startHealthMonitor(monitored, undefined, () => pulse.isDue('health'));
}
