import { join } from 'node:path';
import { z } from 'zod';
import { foundResourcesSchema } from '../agents/stack-resources.ts';
import type { PlanServers } from '../config/plans.ts';
import { type EngineConnections, fingerprint } from '../connections/connections.ts';
import { LostError, RetryableError } from '../errors.ts';
import { describeFailure } from '../executors/github-actions/result.ts';
import { createIdentitySource } from '../github/identity-token.ts';
import { requestAs } from '../http-client/request.ts';
import { createLog, type Log, traceIdFor } from '../log.ts';
import type { AgentEffect, Runbooks } from '../operations/attempt.ts';
import { limitSeconds } from '../operations/registry.ts';
import { runbookFor } from '../operations/runbooks.ts';
import type { OperationKind } from '../operations/states.ts';
import { RUNNER_SILENT_SECONDS } from '../operations/states.ts';
import { Lease } from '../processes/lease.ts';
import { INSTALLATION_TAG, killOrphans, WORKER_TAG, workerTag } from '../processes/orphans.ts';
import '../runbooks/all.ts';
import type { TellResources } from '../pulumi/engine/stack-engine.ts';
import { openStateStore } from '../pulumi/open-state.ts';
import type { StatePassphrases } from '../pulumi/state-passphrases.ts';
import type { StateStore } from '../pulumi/state-store.ts';
import type { FoundationStore } from '../runbooks/steps/foundation-store.ts';
import { type Claimed, readClaim } from './claimed.ts';
import type { RunnerConfig } from './config.ts';
import { refuseOtherProject } from './hetzner-project.ts';
import { createRemoteFoundations } from './remote-foundations.ts';
import { createRemoteParts, type RemoteParts } from './remote-parts.ts';
import { createReporter, type Reporter } from './reporter.ts';
import { createServiceLink } from './service-link.ts';

/** Starts this process's engine and creates the runbooks that use it. */
export type OpenEngine = (
  parts: RemoteParts & {
    config: RunnerConfig;
    connections: EngineConnections;
    state: StateStore;
    passphrases: StatePassphrases | undefined;
    foundations: FoundationStore;
    planServers: PlanServers;
    processTags: Record<string, string>;
    idle: number;
    log: Log;
  },
) => Promise<{ runbooks: Runbooks; stop(): Promise<void> }>;

/** How an attempt on a runner ended. */
export type Outcome =
  | { status: 'succeeded'; effect: AgentEffect }
  | { status: 'failed'; error: string; failedStep: string };

/** The work stops a minute before the service considers the attempt lost. */
const LEASE_MS = (RUNNER_SILENT_SECONDS - 60) * 1000;
const LAST_WORD_MS = 20_000;

export interface Job {
  config: RunnerConfig;
  openEngine: OpenEngine;
  ending: AbortSignal;
  say: (line: string) => void;
}

/**
 * Claims the job, follows its runbook as a worker would, and records the result. The workflow reports the
 * end. `ending` aborts when the run is ended from outside.
 */
export async function runJob({ config, openEngine, ending, say }: Job): Promise<Outcome> {
  const installation = `runner ${fingerprint(new URL(config.callbackUrl).origin)}`;
  await killOrphans(installation);
  const controller = new AbortController();
  const lease = new Lease(Date.now() + LEASE_MS);
  const { identity } = config;
  const identify = identity === undefined ? undefined : createIdentitySource(identity);
  const link = createServiceLink({ ...config, identify });
  const reporter = createReporter({
    link,
    lease,
    leaseMs: LEASE_MS,
    say,
    onError: (error) => error instanceof LostError && controller.abort(error),
  });
  const stopGuarding = abortOnLoss(controller, lease, ending);
  try {
    const { pulumi } = config.connections;
    const message = { key_ids: pulumi.keyring.ids, projects: true };
    const claimed = readClaim(await link.send('claim', message, { signal: controller.signal }), pulumi);
    say(`${claimed.operation.kind} of ${claimed.agent.agent_id}, attempt ${claimed.operation.attempt}`);
    refuseOtherProject(config.connections, claimed.agent);
    say(`operation ${claimed.operation.operation_id}, trace ${traceIdFor(claimed.operation.operation_id)}`);
    const processTags = { [INSTALLATION_TAG]: installation, [WORKER_TAG]: workerTag() };
    const following = { config, openEngine, claimed, controller, lease, reporter, processTags };
    const effect = await followRunbook(following);
    controller.signal.throwIfAborted();
    await reporter.record({ kind: 'result', result: { status: 'succeeded', effect } });
    return { status: 'succeeded', effect };
  } catch (thrown) {
    return await recordFailure(reporter, controller.signal.aborted ? controller.signal.reason : thrown);
  } finally {
    stopGuarding();
    await reporter.close(LAST_WORD_MS);
  }
}

/** The workflow reports the end even when the service does not hear of the failure in time. */
async function recordFailure(reporter: Reporter, error: unknown): Promise<Outcome> {
  const failure = { ...describeFailure(error), step: reporter.currentStep };
  await Promise.race([
    reporter.record({ kind: 'result', result: { status: 'failed', ...failure } }).catch(() => {}),
    new Promise((resolve) => setTimeout(resolve, LAST_WORD_MS).unref()),
  ]);
  return { status: 'failed', error: failure.message, failedStep: failure.step };
}

interface Following {
  config: RunnerConfig;
  openEngine: OpenEngine;
  claimed: Claimed;
  controller: AbortController;
  lease: Lease;
  reporter: Reporter;
  processTags: Record<string, string>;
}

async function followRunbook({
  config,
  openEngine,
  claimed,
  controller,
  lease,
  reporter,
  processTags,
}: Following): Promise<AgentEffect> {
  const { operation, agent, backendUrl, planServers, isTraced } = claimed;
  const { state, passphrases, pool } = openStateStore(backendUrl);
  const limit = limitTime(operation.kind, controller);
  const engine = await openEngine({
    config,
    connections: await locateMachines(config),
    state,
    passphrases,
    foundations: createRemoteFoundations(reporter),
    ...createRemoteParts(config, claimed, reporter),
    planServers,
    processTags,
    idle: 1,
    log: openLog(config, operation),
  });
  try {
    const runbook = runbookFor(engine.runbooks, operation, agent);
    controller.signal.throwIfAborted();
    const { step, log } = reporter;
    const span = isTraced ? reporter.span : undefined;
    const { signal } = controller;
    const foundResources = tellResources(reporter, agent.stack_name);
    return await runbook({ operation, agent, signal, lease, backendUrl, step, log, foundResources, span });
  } finally {
    clearTimeout(limit);
    await engine.stop();
    await pool?.end();
  }
}

function limitTime(kind: OperationKind, controller: AbortController): NodeJS.Timeout {
  const seconds = limitSeconds(kind);
  const reason = `The ${kind} took longer than ${seconds / 60} minutes and was ended`;
  return setTimeout(() => controller.abort(new RetryableError(reason)), seconds * 1000);
}

/** Records by the reporter what a worker writes into the rows. */

/** Opens this process's log, whose every line names the operation. */
function openLog(
  { dataDir }: RunnerConfig,
  { operation_id: operationId, attempt, kind }: Claimed['operation'],
): Log {
  const log = createLog(join(dataDir, 'logs', 'runner.log')).child({ process: 'runner', operationId });
  log.info({ event: 'runner.started', attempt }, `${kind} on a runner`);
  return log;
}

/** What is found of the agent's stack is worth a message, and its loss is not worth a failure. */
function tellResources(reporter: Reporter, own: string): TellResources {
  return (stackName, verb, resources) => {
    const found = foundResourcesSchema.safeParse({ verb, resources });
    if (!found.success || stackName !== own) return;
    reporter.record({ kind: 'resources', found: found.data }).catch(() => {});
  };
}

const network = z.object({ machines: z.enum(['real', 'simulated']) });

/** Asks the sandbox for its machines' kind. Simulated ones answer health checks at the sandbox's address. */
async function locateMachines({ connections, sandboxUrl }: RunnerConfig): Promise<EngineConnections> {
  if (sandboxUrl === undefined || connections.networkUrl === undefined) return connections;
  const request = { method: 'GET' as const, url: connections.networkUrl, headers: {} };
  if ((await requestAs(network, request)).machines === 'real') return connections;
  return {
    ...connections,
    machines: 'simulated',
    healthAddress: (tailnetIp) => `${sandboxUrl}/sandbox/machines/${tailnetIp}/health`,
  };
}

/** Aborts the work when the lease expires or the workflow run is cancelled or killed. */
function abortOnLoss(controller: AbortController, lease: Lease, ending: AbortSignal): () => void {
  const deadline = setInterval(
    () => Date.now() > lease.until && controller.abort(new LostError('The service stopped answering')),
    500,
  );
  const onEnding = () => controller.abort(new LostError('The workflow run was ended from outside'));
  ending.addEventListener('abort', onEnding);
  if (ending.aborted) onEnding();
  return () => {
    clearInterval(deadline);
    ending.removeEventListener('abort', onEnding);
  };
}
