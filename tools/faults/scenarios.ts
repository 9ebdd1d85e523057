import { setTimeout as sleep } from 'node:timers/promises';
import { serverOwner } from './belongings.ts';
import { failOverOften, openReplicated } from './failover-scenario.ts';
import { failThreeTimes, orderTwenty, stallWorker } from './longer-scenarios.ts';
import { changePassphrase } from './rekey-scenario.ts';
import { openWithBackups, restoreBackup } from './restore-scenario.ts';
import {
  destroyAgent,
  orderAgent,
  readAgent,
  readLog,
  type ScenarioContext,
  untilStatus,
  untilStep,
} from './scenario-context.ts';
import {
  afterFailure,
  call,
  conclude,
  type Finding,
  LIMIT_SECONDS,
  provisionThrough,
  tellingErrors,
  together,
} from './scenario-steps.ts';
import { until } from './until.ts';

export interface Scenario {
  name: string;
  title: string;
  /** Number of worker processes. */
  workers: number;
  /** Creates the installation that it needs for itself; default: the one that all others share. */
  open?(tools: Record<string, string>): Promise<ScenarioContext>;
  run(context: ScenarioContext, options: { agentId: string; long: boolean }): Promise<Finding>;
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'dropped-answer',
    title: 'the answer to POST /servers is dropped after the server was made',
    workers: 1,
    run: async (context, { agentId }) => {
      await context.clouds.orderFault(call('POST', '/servers', { kind: 'drop-answer' }));
      return afterFailure(await provisionThrough(context, agentId));
    },
  },
  {
    name: 'rate-limit',
    title: 'Hetzner answers 429 to everything for a while',
    workers: 1,
    run: async (context, { agentId, long }) => {
      await context.clouds.orderFault(call('*', '**', { kind: 'status', status: 429 }, 1_000_000));
      const over = sleep((long ? 120 : 12) * 1000).then(() => context.clouds.clearFaults());
      const finding = await provisionThrough(context, agentId);
      await over;
      return finding;
    },
  },
  {
    name: 'action-error',
    title: 'the action that creates the server ends in an error',
    workers: 1,
    run: async (context, { agentId }) => {
      const effect = { kind: 'action-error', code: 'server_error', message: 'the host has failed' };
      await context.clouds.orderFault(call('POST', '/servers', effect));
      return afterFailure(await provisionThrough(context, agentId));
    },
  },
  {
    name: 'delete-fails',
    title: 'Hetzner answers 500 to deletes',
    workers: 1,
    run: async (context, { agentId }) => {
      await provisionThrough(context, agentId);
      await context.clouds.orderFault(call('DELETE', '**', { kind: 'status', status: 500 }, 2));
      const told = tellingErrors(context, agentId);
      await destroyAgent(context, agentId);
      await untilStatus(context, agentId, 'destroyed', LIMIT_SECONDS);
      return conclude(context, { workers: 1, told: await told.stop(), agentId });
    },
  },
  {
    name: 'postgres-restarted',
    title: 'Postgres is killed in every step of a provision',
    workers: 1,
    run: async (context, { agentId }) => {
      const findings: Finding[] = [];
      // Simulated machines are healthy at once, and the last step would be too short to interrupt.
      await context.clouds.orderFault({
        area: 'machines',
        method: 'GET',
        path: '**',
        times: 1_000,
        effect: { kind: 'latency', ms: 1_500 },
      });
      for (const step of ['creating_server', 'joining_network', 'configuring', 'verifying']) {
        const id = `${agentId}-${step.split('_')[0]}`;
        await orderAgent(context, id);
        await untilStep(context, id, step, 60);
        await context.installation.restartPostgres();
        await untilStatus(context, id, 'running', LIMIT_SECONDS);
        findings.push(await conclude(context, { workers: 1, told: [], agentId: id }));
      }
      await context.clouds.clearFaults();
      return together(findings);
    },
  },
  {
    name: 'failover',
    title: 'a synchronous standby of Postgres is promoted in the middle of provisions, a claim and a destroy',
    workers: 1,
    open: openReplicated,
    run: failOverOften,
  },
  {
    name: 'server-deleted',
    title: 'the server is deleted by hand while it is being configured',
    workers: 1,
    run: async (context, { agentId }) => {
      const told = tellingErrors(context, agentId);
      await orderAgent(context, agentId);
      const first = await until(
        'the server is being configured',
        60,
        async () => {
          if ((await readAgent(context, agentId)).step !== 'configuring') return undefined;
          return (await context.clouds.servers()).find((one) => serverOwner(one) === agentId);
        },
        20,
      );
      await context.clouds.deleteServer(first.id);
      await untilStatus(context, agentId, 'running', LIMIT_SECONDS);
      const finding = await conclude(context, { workers: 1, told: await told.stop(), agentId });
      const { server_id } = await readAgent(context, agentId);
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
      run: (context, { agentId }) => stallWorker(context, agentId, withChildren),
    }),
  ),
  {
    name: 'twenty-orders',
    title: 'two workers and 20 orders',
    workers: 2,
    run: orderTwenty,
  },
  {
    name: 'three-failures',
    title: 'three failed tries: everything billed is gone, a retry brings the agent to running',
    workers: 1,
    run: failThreeTimes,
  },
  {
    name: 'rekey',
    title: 'the passphrase is changed while agents are made, and everything is killed again and again',
    workers: 1,
    run: changePassphrase,
  },
  {
    name: 'restore',
    title: 'everything is killed in the middle of work, and a backup of before is restored',
    workers: 1,
    open: openWithBackups,
    run: restoreBackup,
  },
  {
    name: 'no-worker',
    title: 'no worker at all',
    workers: 0,
    run: async (context, { agentId }) => {
      await orderAgent(context, agentId);
      const line = await until(
        'the log says why nothing happens',
        120,
        async () => (await readLog(context, agentId)).find((one) => one.includes('No worker')),
        1_000,
      );
      await context.installation.startWorker();
      await untilStatus(context, agentId, 'running', LIMIT_SECONDS);
      return conclude(context, { workers: 1, told: [line], agentId });
    },
  },
];
