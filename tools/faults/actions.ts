import { setTimeout as sleep } from 'node:timers/promises';
import { signal } from '../../src/processes/find.ts';
import { deleteServer, orderFault } from './cloud-actions.ts';
import type { Clouds } from './clouds.ts';
import { type Installation, POOL_REGION } from './installation.ts';
import type { ChildKind } from './processes.ts';
import { pick, pickWeighted, type Random } from './random.ts';
import { changeRelease, type ReleaseChange } from './releases.ts';
import { type Order, ServiceClient } from './service-client.ts';

/** The installation under test, and what the suite counts. */
export interface SuiteContext {
  installation: Installation;
  client: ServiceClient;
  clouds: Clouds;
  leaseSeconds: number;
  /** Paid orders, the newest last. */
  orders: Order[];
  /** Agents whose destroy was requested. */
  gone: Set<string>;
  /** Agents whose server was deleted by hand. */
  serverDeleted: Set<string>;
  /** How many servers wait in `POOL_REGION`; 0: none. */
  pool: number;
  /** The releases that were rolled out, the newest last. */
  releases: ReleaseChange[];
  /** Work that continues beside the rounds, such as resuming a stopped worker later. */
  later: Set<Promise<void>>;
  counts: Record<string, number>;
  say(line: string): void;
}

/**
 * One decision. The action is chosen and all its random numbers are drawn before anything runs, so the seed
 * determines the sequence whatever the installation does.
 */
export interface Decision {
  action: string;
  /** Pause before the action, in milliseconds. */
  waitMs: number;
  /** Numbers in [0, 1) for the action's choices. */
  draws: number[];
}

export type Act = (suite: SuiteContext, draws: number[]) => Promise<string>;

const DRAWS = 6;

/** `pool`: whether servers wait for customers; without, decisions are those of a suite without slots. */
export function drawDecision(random: Random, pool = false): Decision {
  const chosen = pickWeighted(pool ? [...ACTIONS, ...POOL_ACTIONS] : ACTIONS, random());
  const waitMs = Math.floor(random() * 2_500);
  return { action: chosen.name, waitMs, draws: Array.from({ length: DRAWS }, random) };
}

/** Performs a decision. @returns a line that says what was done. */
export async function perform(suite: SuiteContext, decision: Decision): Promise<string> {
  await sleep(decision.waitMs);
  const done = await [...ACTIONS, ...POOL_ACTIONS]
    .find(({ name }) => name === decision.action)!
    .act(suite, decision.draws);
  suite.counts[decision.action] = (suite.counts[decision.action] ?? 0) + 1;
  return done;
}

/** With a pool most orders are placed where it is. */
const POOL_SHARE = 0.7;
const REGIONS = ['us-east', 'us-west', 'eu-central', 'eu-west', 'eu-north', 'ap-southeast'];
/** More agents take time and show nothing new. */
const MOST_AGENTS = 12;

/** A new order. Stripe may send its events twice at once, with another id, or again much later. */
const order: Act = async (suite, [region, doubled, second, late]) => {
  if (living(suite).length >= MOST_AGENTS) return destroy(suite, [late!]);
  const isWarm = suite.pool > 0 && doubled! < POOL_SHARE;
  const where = isWarm ? POOL_REGION : pick(REGIONS, region!)!;
  const placed = ServiceClient.newOrder(`f${suite.orders.length + 1}`, where);
  suite.orders.push(placed);
  const deliveries = [suite.client.deliver(placed, `evt_${placed.agentId}_a`)];
  if (doubled! < 0.4) deliveries.push(suite.client.deliver(placed, `evt_${placed.agentId}_a`));
  if (second! < 0.4) deliveries.unshift(suite.client.deliver(placed, `evt_${placed.agentId}_b`));
  const answers = await Promise.all(deliveries);
  const old = pick(suite.orders, late!);
  if (late! < 0.5 && old !== undefined) await suite.client.deliver(old, `evt_${old.agentId}_a`);
  return `order ${placed.agentId}: ${answers.join(', ')}`;
};

const living = ({ orders, gone }: SuiteContext) => orders.filter(({ agentId }) => !gone.has(agentId));

const destroy: Act = async (suite, [which]) => {
  const agent = pick(living(suite), which!);
  if (agent === undefined) return 'destroy: no agent';
  const { status } = await suite.client.requestOperation(agent.agentId, 'destroy');
  if (status === 202) suite.gone.add(agent.agentId);
  return `destroy ${agent.agentId}: ${status}`;
};

const refresh: Act = async (suite, [which]) => {
  const agent = pick(living(suite), which!);
  if (agent === undefined) return 'refresh: no agent';
  return `refresh ${agent.agentId}: ${(await suite.client.requestOperation(agent.agentId, 'refresh')).status}`;
};

/** Cancels or retries an agent's newest operation, mostly of a young agent, which is likely to be busy. */
const onOperation =
  (verb: 'cancel' | 'retry'): Act =>
  async (suite, [which]) => {
    const agent = pick(living(suite).slice(-4), which!);
    if (agent === undefined) return `${verb}: no agent`;
    const { body } = await suite.client.ask('GET', `/api/agents/${agent.agentId}/operations`);
    const operations = (body.items ?? []) as { operationId: string; kind: string; status: string }[];
    const wanted = verb === 'cancel' ? ['queued', 'active'] : ['failed', 'cancelled'];
    const found = operations.find(({ status, kind }) => wanted.includes(status) && kind !== 'rollback');
    if (found === undefined) return `${verb} of ${agent.agentId}: nothing to ${verb}`;
    const { status } = await suite.client.ask('POST', `/api/operations/${found.operationId}/${verb}`);
    return `${verb} ${found.kind} of ${agent.agentId}: ${status}`;
  };

/** kill -9 of a worker. Another one replaces it, at once or after its leases have expired. */
const killWorker: Act = async (suite, [which, pause]) => {
  const worker = pick(suite.installation.workers, which!);
  if (worker === undefined) return 'kill worker: none';
  await worker.kill();
  if (pause! < 0.3) await sleep(suite.leaseSeconds * 1000 * pause! * 4);
  await suite.installation.startWorker();
  return `killed ${worker.name}`;
};

/** kill -9 of a worker's descendant, as soon as there is one of the kind. */
const killChild =
  (kind: ChildKind): Act =>
  async (suite, [which, pause, ...draws]) => {
    // Without running work there is nothing to kill.
    const prelude =
      suite.installation.children({ kind: 'cli' }).length > 0 ? '' : `${await order(suite, draws)}, then `;
    const deadline = Date.now() + 6_000;
    for (;;) {
      const busy = new Set(
        suite.installation
          .children()
          .filter((one) => one.kind === 'cli')
          .map((one) => one.worker),
      );
      // Killing an idle engine process shows nothing: prefer one whose worker has a CLI at work.
      const found = suite.installation
        .children({ kind })
        .filter((one) => kind !== 'runner' || busy.has(one.worker));
      const child = pick(found, which!);
      if (child !== undefined) {
        await sleep(pause! * 400);
        signal(child.pid, 'SIGKILL');
        suite.counts[`${kind} hit`] = (suite.counts[`${kind} hit`] ?? 0) + 1;
        return `${prelude}killed ${kind} ${child.pid} of ${child.attempt ?? 'a runner'}`;
      }
      if (Date.now() > deadline) return `${prelude}kill ${kind}: none at work`;
      await sleep(50);
    }
  };

/** SIGSTOP, and SIGCONT later: within the lease, or after another worker may have taken over. */
const stopWorker: Act = async (suite, [which, length, long]) => {
  const worker = pick(
    suite.installation.workers.filter((one) => !one.isStopped),
    which!,
  );
  if (worker === undefined || suite.installation.workers.filter((one) => !one.isStopped).length < 2)
    return 'stop worker: the other must go on';
  const seconds = long! < 0.6 ? suite.leaseSeconds * (1.1 + length!) : 0.5 + 4 * length!;
  worker.pause();
  const continued = sleep(seconds * 1000).then(() => {
    if (worker.isAlive && worker.isStopped) worker.resume();
    suite.say(`  continued ${worker.name} after ${seconds.toFixed(1)} s`);
  });
  suite.later.add(continued);
  void continued.finally(() => suite.later.delete(continued));
  return `stopped ${worker.name} for ${seconds.toFixed(1)} s`;
};

const restartPostgres: Act = async (suite) => {
  await suite.installation.restartPostgres();
  return 'restarted Postgres';
};

const killSandbox: Act = async (suite) => {
  suite.installation.killSandbox();
  return 'killed the sandbox';
};

const restartHost: Act = async (suite) => {
  await suite.installation.restartHost();
  return 'killed the host, its sandbox and Postgres, and started it again';
};

const killEverything: Act = async (suite) => {
  const workers = suite.installation.workers.length;
  await suite.installation.killEverything();
  await suite.installation.startHost('api');
  for (let count = 0; count < workers; count += 1) await suite.installation.startWorker();
  return 'killed everything, and started it again';
};

interface Action {
  name: string;
  weight: number;
  act: Act;
}

/** Only with a pool. */
const POOL_ACTIONS: Action[] = [{ name: 'change release', weight: 12, act: changeRelease }];

const ACTIONS: Action[] = [
  { name: 'order', weight: 26, act: order },
  { name: 'destroy', weight: 9, act: destroy },
  { name: 'refresh', weight: 5, act: refresh },
  { name: 'cancel', weight: 5, act: onOperation('cancel') },
  { name: 'retry', weight: 5, act: onOperation('retry') },
  { name: 'kill worker', weight: 8, act: killWorker },
  { name: 'kill runner', weight: 6, act: killChild('runner') },
  { name: 'kill cli', weight: 7, act: killChild('cli') },
  { name: 'kill configure', weight: 3, act: killChild('configure') },
  { name: 'kill ansible', weight: 4, act: killChild('ansible') },
  { name: 'stop worker', weight: 6, act: stopWorker },
  { name: 'restart Postgres', weight: 4, act: restartPostgres },
  { name: 'kill sandbox', weight: 4, act: killSandbox },
  { name: 'restart host', weight: 1.5, act: restartHost },
  { name: 'kill everything', weight: 1.5, act: killEverything },
  { name: 'order fault', weight: 12, act: orderFault },
  { name: 'delete server by hand', weight: 2.5, act: deleteServer },
];
