import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { getAgent, insertAgent } from '../../src/agents/store.ts';
import { migrate } from '../../src/database/migrations.ts';
import { createLog } from '../../src/log.ts';
import { checkDue, type MonitorDeps } from '../../src/reconcile/health-monitor.ts';
import { openEmpty } from '../database/support.ts';

const settings = {
  intervalSeconds: 30,
  recheckSeconds: 5,
  unhealthyAfterSeconds: 10,
  lookSeconds: 2,
  concurrency: 3,
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

/** The same as letting time pass. */
async function later(seconds: number): Promise<void> {
  await sql`update health_checks set due_at = due_at - make_interval(secs => ${seconds}),
    silent_since = silent_since - make_interval(secs => ${seconds})`.execute(at.database);
}

const look = () => checkDue(deps, settings, new AbortController().signal);

test('asks an agent that runs, and not again before its time', async () => {
  await runningAgent(1);
  expect(await look()).toBe(1);
  expect(await look()).toBe(0);
  await later(26);
  expect(await look()).toBe(0);
  await later(8);
  expect(await look()).toBe(1);
});

test('several workers at once ask each agent once between them', async () => {
  for (let n = 1; n <= 10; n++) await runningAgent(n);
  const looks = await Promise.all([look(), look(), look()]);
  expect(looks.reduce((sum, count) => sum + count, 0)).toBe(10);
  expect(new Set(asked).size).toBe(10);
});

test('one lost answer changes nothing; one that stays silent is unhealthy since it fell silent', async () => {
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
  // Twelve seconds that were skipped, and what the looks took.
  const endedAt = Date.now();
  const seconds = (endedAt - agent.unhealthy_since!.getTime()) / 1000;
  expect(seconds).toBeGreaterThanOrEqual(12);
  expect(seconds).toBeLessThanOrEqual(12 + (endedAt - begunAt) / 1000);
});

test('a lost answer with an answer after it is forgotten', async () => {
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

test('one answer makes it healthy again, and what was since is gone', async () => {
  await runningAgent(1);
  await at.database.updateTable('agents').set({ health: 'unhealthy' }).execute();
  expect((await getAgent(at.database, 'a1')).unhealthy_since).toBeInstanceOf(Date);
  await look();
  expect(await getAgent(at.database, 'a1')).toMatchObject({ health: 'healthy', unhealthy_since: null });
});

test('a time in which nobody asked is no silence', async () => {
  await runningAgent(1);
  silent.add('100.64.0.1');
  await look();
  await later(600);
  await look();
  expect((await getAgent(at.database, 'a1')).health).toBe('healthy');
});

test('who is not running, or is being worked on, is not asked', async () => {
  await runningAgent(1);
  await runningAgent(2);
  await runningAgent(3);
  await at.database.updateTable('agents').set({ status: 'stopped' }).where('agent_id', '=', 'a1').execute();
  await sql`insert into operations (agent_id, kind, status, attempt, executor, worker_id, lease_until)
    values ('a2', 'restart', 'active', 1, 'local', 'w', now() + interval '1 minute')`.execute(at.database);
  await look();
  expect(asked).toEqual(['100.64.0.3']);
});

test('who cannot reach anybody says nothing about anybody', async () => {
  await runningAgent(1);
  silent.add('100.64.0.1');
  deps.canReachAgents = async () => false;
  expect(await look()).toBe(0);
  // It went away during the question.
  const answers = [true, false];
  deps.canReachAgents = async () => answers.shift() ?? false;
  expect(await look()).toBe(1);
  const row = await at.database.selectFrom('health_checks').selectAll().executeTakeFirstOrThrow();
  expect(row.silent_since).toBeNull();
});
