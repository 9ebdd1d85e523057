import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { getAgent, insertAgent } from '../../src/agents/store.ts';
import { migrate } from '../../src/database/migrations.ts';
import { createLog } from '../../src/log.ts';
import { checkDue, type MonitorDeps, startHealthMonitor } from '../../src/reconcile/health-monitor.ts';
import { createHealthCheck } from '../../src/tailnet/agent-health.ts';
import { openEmpty } from '../database/support.ts';
import { startHostileServer } from '../support/hostile-server.ts';

const settings = {
  intervalSeconds: 30,
  recheckSeconds: 5,
  unhealthyAfterSeconds: 10,
  lookSeconds: 2,
  concurrency: 3,
  answerSeconds: 15,
  longestLookSeconds: 60,
  stopSeconds: 5,
};

let at: Awaited<ReturnType<typeof openEmpty>>;
let silent: Set<string>;
let asked: string[];
let deps: MonitorDeps;
beforeAll(async () => {
  at = await openEmpty();
  await migrate(at.database);
});
afterAll(() => at.close());
beforeEach(async () => {
  await sql`truncate agents, operations cascade`.execute(at.database);
  silent = new Set();
  asked = [];
  deps = {
    database: at.database,
    health: {
      isHealthy: async (tailnetIp) => {
        asked.push(tailnetIp);
        return !silent.has(tailnetIp);
      },
    },
    canReachAgents: async () => true,
    log: createLog('/dev/null'),
  };
});

/** A running agent a<n> at 100.64.0.<n>. */
async function runningAgent(n: number): Promise<void> {
  const agent = { agentId: `a${n}`, userId: 'u1', region: 'eu-central', location: 'nbg1', plan: 'starter' };
  await insertAgent(at.database, agent);
  await at.database
    .updateTable('agents')
    .set({ status: 'running', server_id: String(n), tailnet_ip: `100.64.0.${n}`, health: 'healthy' })
    .where('agent_id', '=', `a${n}`)
    .execute();
}

/** Moves all times into the past, as if that much time had passed. */
async function later(seconds: number): Promise<void> {
  await sql`update health_checks set due_at = due_at - make_interval(secs => ${seconds}),
    silent_since = silent_since - make_interval(secs => ${seconds})`.execute(at.database);
}

const look = () => checkDue(deps, settings, new AbortController().signal);

test('checks a running agent, and not again before it is due', async () => {
  await runningAgent(1);
  expect(await look()).toBe(1);
  expect(await look()).toBe(0);
  await later(26);
  expect(await look()).toBe(0);
  await later(8);
  expect(await look()).toBe(1);
});

test('several workers at once check each agent once between them', async () => {
  for (let n = 1; n <= 10; n++) await runningAgent(n);
  const looks = await Promise.all([look(), look(), look()]);
  expect(looks.reduce((sum, count) => sum + count, 0)).toBe(10);
  expect(new Set(asked).size).toBe(10);
});

test('one missed answer changes nothing; continued silence makes the agent unhealthy since its first miss', async () => {
  await runningAgent(1);
  silent.add('100.64.0.1');
  const begunAt = Date.now();
  await look();
  expect(await getAgent(at.database, 'a1')).toMatchObject({ health: 'healthy', unhealthy_since: null });
  await later(6);
  await look();
  expect((await getAgent(at.database, 'a1')).health).toBe('healthy');
  await later(6);
  await look();
  const agent = await getAgent(at.database, 'a1');
  expect(agent.health).toBe('unhealthy');
  // Twelve skipped seconds, plus the time the checks took.
  const endedAt = Date.now();
  const seconds = (endedAt - agent.unhealthy_since!.getTime()) / 1000;
  expect(seconds).toBeGreaterThanOrEqual(12);
  expect(seconds).toBeLessThanOrEqual(12 + (endedAt - begunAt) / 1000);
});

test('a missed answer followed by an answer is forgotten', async () => {
  await runningAgent(1);
  silent.add('100.64.0.1');
  await look();
  silent.clear();
  await later(6);
  await look();
  silent.add('100.64.0.1');
  await later(33);
  await look();
  expect((await getAgent(at.database, 'a1')).health).toBe('healthy');
});

test('one answer makes the agent healthy again and clears unhealthy_since', async () => {
  await runningAgent(1);
  await at.database.updateTable('agents').set({ health: 'unhealthy' }).execute();
  expect((await getAgent(at.database, 'a1')).unhealthy_since).toBeInstanceOf(Date);
  await look();
  expect(await getAgent(at.database, 'a1')).toMatchObject({ health: 'healthy', unhealthy_since: null });
});

test('time without any check does not count as silence', async () => {
  await runningAgent(1);
  silent.add('100.64.0.1');
  await look();
  await later(600);
  await look();
  expect((await getAgent(at.database, 'a1')).health).toBe('healthy');
});

test('agents that are not running, or have an active operation, are not checked', async () => {
  await runningAgent(1);
  await runningAgent(2);
  await runningAgent(3);
  await at.database.updateTable('agents').set({ status: 'stopped' }).where('agent_id', '=', 'a1').execute();
  await sql`insert into operations (agent_id, kind, status, attempt, executor, worker_id, lease_until)
    values ('a2', 'restart', 'active', 1, 'local', 'w', now() + interval '1 minute')`.execute(at.database);
  await look();
  expect(asked).toEqual(['100.64.0.3']);
});

test('a worker that can reach no agent records no silence', async () => {
  await runningAgent(1);
  silent.add('100.64.0.1');
  deps.canReachAgents = async () => false;
  expect(await look()).toBe(0);
  // The network fails during the check.
  const answers = [true, false];
  deps.canReachAgents = async () => answers.shift() ?? false;
  expect(await look()).toBe(1);
  const row = await at.database.selectFrom('health_checks').selectAll().executeTakeFirstOrThrow();
  expect(row.silent_since).toBeNull();
});

/** Polls constantly, and checks every agent each time. */
const restless = { ...settings, lookSeconds: 0.02, intervalSeconds: 0.1, concurrency: 1 };
const HOSTILE = '100.64.0.1';
const GOOD = '100.64.0.2';
const timesAsked = (tailnetIp: string) => asked.filter((one) => one === tailnetIp).length;

/** Waits until the hostile agent has been checked, and then the good one repeatedly. */
async function untilGoodIsAskedOn(): Promise<void> {
  await vi.waitFor(() => expect(timesAsked(HOSTILE)).toBeGreaterThan(0), 30_000);
  const before = timesAsked(GOOD);
  await vi.waitFor(() => expect(timesAsked(GOOD)).toBeGreaterThan(before + 2), 30_000);
}

test.each([
  'switches protocols',
  'switches protocols and leaves',
  'says 103 without end',
  'is silent',
  'closes at once',
] as const)(
  'an agent that %s blocks neither checks of others nor a stop',
  {
    timeout: 60_000,
  },
  async (play) => {
    const hostile = await startHostileServer(play);
    const good = createServer((_request, response) => response.end('{}'));
    await new Promise<void>((resolve) => good.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void good.close());
    const goodUrl = `http://127.0.0.1:${(good.address() as AddressInfo).port}`;
    const health = createHealthCheck(
      (tailnetIp) => `${tailnetIp === HOSTILE ? hostile.url : goodUrl}/health`,
      async (host, port) => connect(port, host),
      { answerSeconds: 0.2 },
    );
    await runningAgent(1);
    await runningAgent(2);
    deps.health.isHealthy = (tailnetIp, signal) => {
      asked.push(tailnetIp);
      return health.isHealthy(tailnetIp, signal);
    };
    const monitor = startHealthMonitor(deps, restless);
    await untilGoodIsAskedOn();
    await monitor.stop();
    expect((await getAgent(at.database, 'a2')).health).toBe('healthy');
    const row = await at.database.selectFrom('health_checks').selectAll().where('agent_id', '=', 'a1');
    expect((await row.executeTakeFirstOrThrow()).silent_since).toBeInstanceOf(Date);
  },
);

const never = new Promise<never>(() => {});

test('a health check that never ends is aborted, and so is a connectivity check', {
  timeout: 60_000,
}, async () => {
  await runningAgent(1);
  await runningAgent(2);
  deps.health.isHealthy = async (tailnetIp) => {
    asked.push(tailnetIp);
    return tailnetIp === HOSTILE ? never : true;
  };
  let looks = 0;
  deps.canReachAgents = async () => (++looks % 3 === 1 ? never : true);
  const monitor = startHealthMonitor(deps, { ...restless, answerSeconds: 0.1 });
  await untilGoodIsAskedOn();
  await monitor.stop();
});

test('a round that never ends does not block the next one, nor a stop', {
  timeout: 60_000,
}, async () => {
  await runningAgent(1);
  await runningAgent(2);
  deps.health.isHealthy = async (tailnetIp) => {
    asked.push(tailnetIp);
    return tailnetIp === HOSTILE ? never : true;
  };
  const hanging = { ...restless, longestLookSeconds: 0.3, stopSeconds: 0.1 };
  const monitor = startHealthMonitor(deps, hanging);
  await untilGoodIsAskedOn();
  await monitor.stop();
});
