import { setTimeout as sleep } from 'node:timers/promises';
import { signal } from '../src/clients/processes.ts';
import {
  checkStage,
  destroyAgent,
  orderAgent,
  readAgent,
  readLog,
  readOperations,
  type Stage,
  untilStatus,
  untilStep,
} from './agent-run.ts';
import { busiest, leasesOf, type WatchedLeases, watchLeases } from './leases.ts';
import type { Violation } from './model.ts';
import { readServiceLog } from './service-log.ts';
import { until } from './until.ts';

/** What a scenario came to. */
export interface Finding {
  violations: Violation[];
  /** What the service told people about it: errors of operations as they stood, lines of the log. */
  told: string[];
  figures: Record<string, number | string>;
}

export interface Scenario {
  name: string;
  title: string;
  /** Worker processes while it runs. */
  workers: number;
  play(stage: Stage, options: { agentId: string; long: boolean }): Promise<Finding>;
}

const LIMIT_SECONDS = 420;

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'dropped-answer',
    title: 'the answer to POST /servers is dropped after the server was made',
    workers: 1,
    play: async (stage, { agentId }) => {
      await stage.clouds.orderFault(call('POST', '/servers', { kind: 'drop-answer' }));
      return afterFailure(await provisionThrough(stage, agentId));
    },
  },
  {
    name: 'rate-limit',
    title: 'Hetzner answers 429 to everything for a while',
    workers: 1,
    play: async (stage, { agentId, long }) => {
      await stage.clouds.orderFault(call('*', '**', { kind: 'status', status: 429 }, 1_000_000));
      const over = sleep((long ? 120 : 12) * 1000).then(() => stage.clouds.clearFaults());
      const finding = await provisionThrough(stage, agentId);
      await over;
      return finding;
    },
  },
  {
    name: 'action-error',
    title: 'the action that creates the server ends in an error',
    workers: 1,
    play: async (stage, { agentId }) => {
      const effect = { kind: 'action-error', code: 'server_error', message: 'the host has failed' };
      await stage.clouds.orderFault(call('POST', '/servers', effect));
      return afterFailure(await provisionThrough(stage, agentId));
    },
  },
  {
    name: 'delete-fails',
    title: 'Hetzner answers 500 to deletes',
    workers: 1,
    play: async (stage, { agentId }) => {
      await provisionThrough(stage, agentId);
      await stage.clouds.orderFault(call('DELETE', '**', { kind: 'status', status: 500 }, 2));
      const told = tellingErrors(stage, agentId);
      await destroyAgent(stage, agentId);
      await untilStatus(stage, agentId, 'destroyed', LIMIT_SECONDS);
      return conclude(stage, { workers: 1, told: await told.stop(), agentId });
    },
  },
  {
    name: 'postgres-restarted',
    title: 'Postgres is killed in every step of a provision',
    workers: 1,
    play: async (stage, { agentId }) => {
      const findings: Finding[] = [];
      for (const step of ['creating_server', 'joining_network', 'configuring']) {
        const id = `${agentId}-${step.split('_')[0]}`;
        await orderAgent(stage, id);
        await untilStep(stage, id, step, 60);
        await stage.installation.restartPostgres();
        await untilStatus(stage, id, 'running', LIMIT_SECONDS);
        findings.push(await conclude(stage, { workers: 1, told: [], agentId: id }));
      }
      return together(findings);
    },
  },
  {
    name: 'server-deleted',
    title: 'the server is deleted by hand while it is being configured',
    workers: 1,
    play: async (stage, { agentId }) => {
      const told = tellingErrors(stage, agentId);
      await orderAgent(stage, agentId);
      const first = await until(
        'the server is being configured',
        60,
        async () => {
          if ((await readAgent(stage, agentId)).step !== 'configuring') return undefined;
          return (await stage.clouds.servers()).find(({ name }) => name === `agent-${agentId}`);
        },
        20,
      );
      await stage.clouds.deleteServer(first.id);
      await untilStatus(stage, agentId, 'running', LIMIT_SECONDS);
      const finding = await conclude(stage, { workers: 1, told: await told.stop(), agentId });
      const { server_id } = await readAgent(stage, agentId);
      if (server_id === String(first.id))
        finding.violations.push({ invariant: 'a deleted server is replaced', detail: server_id });
      return finding;
    },
  },
  ...[false, true].map(
    (withChildren): Scenario => ({
      name: withChildren ? 'host-stalls' : 'worker-stalls',
      title: `SIGSTOP for a worker ${withChildren ? 'and all its children ' : ''}in the middle of a create, SIGCONT when another has finished`,
      workers: 2,
      play: (stage, { agentId }) => playStall(stage, agentId, withChildren),
    }),
  ),
  {
    name: 'twenty-orders',
    title: 'two workers and 20 orders',
    workers: 2,
    play: playTwentyOrders,
  },
  {
    name: 'three-failures',
    title: 'three failed tries: everything billed is gone, a retry brings the agent to running',
    workers: 1,
    play: playThreeFailures,
  },
  {
    name: 'no-worker',
    title: 'no worker at all',
    workers: 0,
    play: async (stage, { agentId }) => {
      await orderAgent(stage, agentId);
      const line = await until(
        'the log says why nothing happens',
        120,
        async () => (await readLog(stage, agentId)).find((one) => one.includes('No worker')),
        1_000,
      );
      await stage.installation.startWorker();
      await untilStatus(stage, agentId, 'running', LIMIT_SECONDS);
      return conclude(stage, { workers: 1, told: [line], agentId });
    },
  },
];

function call(method: string, path: string, effect: { kind: string } & Record<string, unknown>, times = 1) {
  return { area: 'hetzner' as const, method, path, times, effect };
}

/** Orders an agent and sees it through to `running`, with what was said on the way. */
async function provisionThrough(stage: Stage, agentId: string): Promise<Finding> {
  const told = tellingErrors(stage, agentId);
  await orderAgent(stage, agentId);
  await untilStatus(stage, agentId, 'running', LIMIT_SECONDS);
  return conclude(stage, { workers: 1, told: await told.stop(), agentId });
}

/** A fault that nothing has met proves nothing. */
function afterFailure(finding: Finding): Finding {
  if (finding.figures.failed === 0)
    finding.violations.push({ invariant: 'the fault is met', detail: 'no attempt failed' });
  return finding;
}

/** Collects every error that operations of the agent show while it goes on. */
function tellingErrors(stage: Stage, agentId: string): { stop(): Promise<string[]> } {
  const seen = new Set<string>();
  let over = false;
  const watching = (async () => {
    while (!over) {
      for (const { kind, error, failed_step } of await readOperations(stage, agentId).catch(() => []))
        if (error !== null) seen.add(`${kind}, ${failed_step}: ${error}`);
      await sleep(250);
    }
  })();
  return {
    stop: async () => {
      over = true;
      await watching;
      return [...seen];
    },
  };
}

async function conclude(
  stage: Stage,
  { workers, told, agentId }: { workers: number; told: string[]; agentId: string },
): Promise<Finding> {
  const violations = await checkStage(stage, { workers, timeoutSeconds: LIMIT_SECONDS });
  const operations = await readOperations(stage, agentId);
  return {
    violations,
    told,
    figures: {
      attempts: operations.reduce((sum, { attempt }) => sum + attempt, 0),
      failed: operations.reduce((sum, { retry_count }) => sum + retry_count, 0),
      lost: operations.reduce((sum, { lost_count }) => sum + lost_count, 0),
    },
  };
}

function together(findings: Finding[]): Finding {
  return {
    violations: findings.flatMap(({ violations }) => violations),
    told: findings.flatMap(({ told }) => told),
    figures: { attempts: findings.map(({ figures }) => figures.attempts).join(', ') },
  };
}

async function playStall(stage: Stage, agentId: string, withChildren: boolean): Promise<Finding> {
  // The create hangs long enough to be caught in the middle.
  await stage.clouds.orderFault(call('POST', '/servers', { kind: 'latency', ms: 4_000 }));
  await orderAgent(stage, agentId);
  const cli = await until(
    'a CLI works on the stack',
    60,
    () =>
      stage.installation.children({ kind: 'cli' }).find(({ attempt }) => attempt?.startsWith(`${agentId}:`)),
    20,
  );
  await until('the server is on its way', 60, async () => (await stage.clouds.faultsLeft()) === 0, 20);
  const worker = stage.installation.workers.find(({ pid }) => pid === cli.worker)!;
  worker.pause();
  const below = withChildren ? stage.installation.children({ worker: cli.worker }).map(({ pid }) => pid) : [];
  for (const pid of below) signal(pid, 'SIGSTOP');
  await untilStatus(stage, agentId, 'running', LIMIT_SECONDS);
  const left = stage.installation
    .children({ worker: cli.worker })
    .filter(({ attempt }) => attempt !== undefined);
  const before = JSON.stringify(await readAgent(stage, agentId));
  for (const pid of below) signal(pid, 'SIGCONT');
  worker.resume();
  const lost = await until('the continued worker hears that it has lost the attempt', 30, () =>
    readServiceLog(stage.installation).find(
      (line) => line.event === 'attempt.lost' && line.agentId === agentId,
    ),
  );
  await until('its children are gone', 30, () =>
    stage.installation.children({ worker: cli.worker }).every(({ kind }) => kind === 'runner'),
  );
  const finding = await conclude(stage, { workers: 2, told: [String(lost.error)], agentId });
  if (!withChildren && left.length > 0)
    finding.violations.push({
      invariant: 'a stalled worker’s children are gone before another attempt begins',
      detail: left.map(({ command }) => command).join(', '),
    });
  if (JSON.stringify(await readAgent(stage, agentId)) !== before)
    finding.violations.push({ invariant: 'a worker that comes back changes nothing', detail: before });
  return finding;
}

const ORDERS = 20;

async function playTwentyOrders(
  stage: Stage,
  { agentId, long }: { agentId: string; long: boolean },
): Promise<Finding> {
  const ids = Array.from({ length: long ? ORDERS : 6 }, (_, index) => `${agentId}-${index + 1}`);
  const watched: WatchedLeases = watchLeases(stage);
  const startedAt = Date.now();
  await Promise.all(ids.map((id) => orderAgent(stage, id)));
  for (const id of ids) await untilStatus(stage, id, 'running', LIMIT_SECONDS);
  const seconds = (Date.now() - startedAt) / 1000;
  const looks = await watched.stop();
  const leases = leasesOf(looks);
  const finding = await conclude(stage, { workers: 2, told: [], agentId: ids[0]! });
  finding.violations.push(...leases.doubled.map((detail) => ({ invariant: 'one worker per stack', detail })));
  const shares = busiest(looks);
  if (shares.length < 2 || shares.some(({ share }) => share < 0.5))
    finding.violations.push({
      invariant: 'neither worker is idle while orders wait',
      detail: JSON.stringify(shares),
    });
  finding.figures = {
    orders: ids.length,
    seconds: Math.round(seconds),
    ...Object.fromEntries(
      shares.map(({ worker, share, attempts }, index) => [
        `worker ${index + 1}`,
        `${attempts} attempts, at work ${Math.round(share * 100)} % of the time (${worker.split(':')[1]})`,
      ]),
    ),
  };
  return finding;
}

async function playThreeFailures(stage: Stage, { agentId }: { agentId: string }): Promise<Finding> {
  const told = tellingErrors(stage, agentId);
  // The server is made each time and its configuration never begins: there is something to take away.
  await stage.clouds.orderFault(call('POST', '/servers', { kind: 'status', status: 500 }, 1_000_000));
  await orderAgent(stage, agentId);
  await untilStatus(stage, agentId, 'failed', LIMIT_SECONDS);
  const failed = await conclude(stage, { workers: 1, told: [], agentId });
  const [provision] = (await readOperations(stage, agentId)).filter(({ kind }) => kind === 'provision');
  if (provision === undefined) throw new Error('There is no provision');
  if (provision.retry_count !== 3 || provision.failed_step !== 'creating_server' || !provision.error)
    failed.violations.push({
      invariant: 'three failed tries are the end, with reason and step',
      detail: JSON.stringify(provision),
    });
  const { status } = await stage.client.ask('POST', `/api/operations/${provision.operation_id}/retry`);
  if (status !== 202)
    failed.violations.push({ invariant: 'a failed provision can be retried', detail: String(status) });
  await untilStatus(stage, agentId, 'running', LIMIT_SECONDS);
  const after = await conclude(stage, { workers: 1, told: await told.stop(), agentId });
  return { ...after, violations: [...failed.violations, ...after.violations] };
}
