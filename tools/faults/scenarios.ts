import { setTimeout as sleep } from 'node:timers/promises';
import {
  destroyAgent,
  orderAgent,
  readAgent,
  readLog,
  type Stage,
  untilStatus,
  untilStep,
} from './agent-run.ts';
import { playStall, playThreeFailures, playTwentyOrders } from './scenario-plays.ts';
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
  /** Worker processes while it runs. */
  workers: number;
  play(stage: Stage, options: { agentId: string; long: boolean }): Promise<Finding>;
}

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
      // Simulated machines are healthy at once: nobody would meet the last step.
      await stage.clouds.orderFault({
        area: 'machines',
        method: 'GET',
        path: '**',
        times: 1_000,
        effect: { kind: 'latency', ms: 1_500 },
      });
      for (const step of ['creating_server', 'joining_network', 'configuring', 'verifying']) {
        const id = `${agentId}-${step.split('_')[0]}`;
        await orderAgent(stage, id);
        await untilStep(stage, id, step, 60);
        await stage.installation.restartPostgres();
        await untilStatus(stage, id, 'running', LIMIT_SECONDS);
        findings.push(await conclude(stage, { workers: 1, told: [], agentId: id }));
      }
      await stage.clouds.clearFaults();
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
