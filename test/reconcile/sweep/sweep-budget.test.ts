import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { CALLS_PER_SERVER_REMOVAL } from '../../../src/hetzner/hetzner.ts';
import { createBudgets } from '../../../src/reconcile/sweep/budget.ts';
import { lastSweep } from '../../../src/reconcile/sweep/sweeps.ts';
import { openSweepFixture, type SweepFixture } from '../../support/sweep-fixture.ts';

/** Inserts running agents with all their resources into both databases. */
async function insertAgents(fixture: SweepFixture, count: number): Promise<void> {
  await fixture.cloud.query(
    `INSERT INTO hetzner_servers (name, labels, server_type_id, image_id, location_id, primary_disk_gb, phases, locked_until, created_at)
     SELECT 'agent-b' || n, jsonb_build_object('agent-id', 'b' || n, 'operation-id', 'op', 'managed-by', 'agents'),
       t.server_type_id, t.image_id, t.location_id, t.primary_disk_gb, '[{"status":"running","fromMs":0}]', now(), now()
     FROM generate_series(1, $1) n, (SELECT * FROM hetzner_servers LIMIT 1) t`,
    [count],
  );
  await fixture.cloud.query(
    `INSERT INTO hetzner_ssh_keys (name, fingerprint, public_key, labels, created_at)
     SELECT 'agent-b' || n, md5(n::text), 'ssh-ed25519 AAAA',
       jsonb_build_object('agent-id', 'b' || n, 'operation-id', 'op', 'managed-by', 'agents'), now()
     FROM generate_series(1, $1) n`,
    [count],
  );
  await fixture.cloud.query(
    `INSERT INTO tailscale_devices (id, node_id, number, hostname, label, ipv4, ipv6, tags, registered_by, authorized, ephemeral,
       key_expiry_disabled, machine_key, node_key, machine_id, key_id, created_at, expires_at)
     SELECT 'b' || n, 'node' || n, 100000 + n, 'agent-b' || n, 'agent-b' || n, host('100.70.0.0'::inet + n), 'fd7a::' || to_hex(n),
       '{tag:agent}', 'tagged-devices', true, false, true, 'm' || n, 'n' || n, 'machine' || n, t.key_id, now(), now()
     FROM generate_series(1, $1) n, (SELECT * FROM tailscale_devices LIMIT 1) t`,
    [count],
  );
  const { rows } = await fixture.cloud.query<{ id: number; name: string }>(
    `SELECT id, name FROM hetzner_servers WHERE name LIKE 'agent-b%'`,
  );
  await sql`
    insert into agents (agent_id, user_id, region, location, plan, status, health, server_id, tailnet_ip,
      tailnet_node_id, inputs)
    select 'b' || n, 'u', 'eu-central', 'nbg1', 'starter', 'running', 'healthy', s->>'id', host('100.70.0.0'::inet + n), 'node' || n,
      '{"operationId": "op", "keyGeneration": 1}'
    from jsonb_array_elements(${JSON.stringify(rows)}::jsonb) s, lateral (select substr(s->>'name', 8)::int as n) t`.execute(
    fixture.database,
  );
  await sql`insert into operations (agent_id, kind, status, executor, finished_at)
    select agent_id, 'provision', 'succeeded', 'local', now() from agents where agent_id like 'b%'`.execute(
    fixture.database,
  );
}

/** A destroyed agent with a server and a device, first or last in all lists. */
async function insertOrphan(fixture: SweepFixture, agentId: string): Promise<number> {
  const server = await fixture.server(agentId);
  await fixture.device(agentId);
  await fixture.agent(agentId, { status: 'destroyed' });
  return server;
}

/** Counts the calls that actually reach the clouds. */
function countCalls(fixture: SweepFixture): () => number {
  const calls = vi.spyOn(globalThis, 'fetch');
  return () => calls.mock.calls.filter(([url]) => String(url).startsWith(fixture.sandbox.url)).length;
}

afterEach(() => vi.restoreAllMocks());

describe('1,000 agents', () => {
  let fixture: SweepFixture;
  beforeAll(async () => {
    fixture = await openSweepFixture();
    await insertOrphan(fixture, 'first');
    await insertAgents(fixture, 1000);
  });
  afterAll(() => fixture.close());

  test('are compared with some forty calls, and orphans among them are removed', async () => {
    const server = await insertOrphan(fixture, 'last');
    const calls = countCalls(fixture);
    const report = await fixture.sweep();
    expect(report).toMatchObject({ listed: 3004, removed: 4, note: null, next: null });
    // 21 pages of servers, 20 of keys, 2 lists of the tailnet, and the removals.
    expect(report.calls).toBeLessThan(21 + 20 + 2 + 2 * 6 + 1);
    expect(calls()).toBe(report.calls);
    expect(
      (
        await fixture.cloud.query('SELECT 1 FROM hetzner_servers WHERE id = $1 AND deleted_at IS NULL', [
          server,
        ])
      ).rows,
    ).toEqual([]);
  });

  test('have their SSH keys counted where the list does not fit, and listed where their number is wrong', async () => {
    const usual = await fixture.sweep({ maxCalls: 40 });
    // 20 pages of servers, 1 of keys, 1 of snapshots, 2 lists of the tailnet.
    expect(usual).toMatchObject({ calls: 24, omittedKeys: true, note: null, next: null });
    await fixture.cloud.query(
      `INSERT INTO hetzner_ssh_keys (name, fingerprint, public_key, labels, created_at)
       VALUES ('agent-first', 'one too many', 'ssh-ed25519 AAAA',
         '{"agent-id": "first", "operation-id": "op", "managed-by": "agents"}', now())`,
    );
    const findings: string[] = [];
    for (let next = await fixture.sweep({ maxCalls: 40 }); ; next = await fixture.sweep({ maxCalls: 40 })) {
      expect(next.omittedKeys).toBe(false);
      findings.push(...next.findings);
      if (next.next === null) break;
    }
    expect(findings).toEqual([expect.stringMatching(/^Removed: SSH key agent-first .* which is destroyed$/)]);
  });

  test('have their SSH keys listed once a day, whatever their number', async () => {
    await sql`update sweeps set started_at = started_at - interval '1 day'`.execute(fixture.database);
    expect(await fixture.sweep({ maxCalls: 40 })).toMatchObject({
      omittedKeys: false,
      next: { projects: { default: { list: 'ssh-keys' } } },
    });
    expect(await fixture.sweep({ maxCalls: 40 })).toMatchObject({ omittedKeys: false, next: null });
    expect(await fixture.sweep({ maxCalls: 40 })).toMatchObject({ omittedKeys: true, next: null });
  });

  test('whose SSH keys were counted are not taken to be listed by the sweep that reads the rest', async () => {
    // 2 lists of the tailnet, 20 pages of servers, 1 of keys, and what is kept for an agent.
    const maxCalls = 23 + CALLS_PER_SERVER_REMOVAL + 5;
    expect(await fixture.sweep({ maxCalls })).toMatchObject({
      omittedKeys: true,
      next: { projects: { default: { list: 'snapshots' } } },
    });
    expect(await fixture.sweep({ maxCalls })).toMatchObject({ omittedKeys: true, next: null });
  });

  test('with a small budget are compared in parts, and none is skipped or wrongly reported', async () => {
    await sql`update sweeps set started_at = started_at - interval '1 day'`.execute(fixture.database);
    const server = await insertOrphan(fixture, 'at-the-end');
    await fixture.database
      .updateTable('agents')
      .set({ server_id: '999999' })
      .where('agent_id', '=', 'b7')
      .execute();
    const findings: string[] = [];
    let sweeps = 0;
    do {
      const calls = countCalls(fixture);
      const report = await fixture.sweep({ maxCalls: 24 });
      sweeps += 1;
      expect(calls()).toBe(report.calls);
      expect(report.calls).toBeLessThanOrEqual(24);
      findings.push(...report.findings);
      if (report.next === null) break;
      expect(report.note).toContain('was too small for all lists: the next sweep continues at page');
      vi.restoreAllMocks();
    } while (sweeps < 10);
    // 42 pages, eight per sweep.
    expect(sweeps).toBe(6);
    expect(findings).toContain(
      `Removed: Server agent-at-the-end (${server}) belongs to agent at-the-end, which is destroyed`,
    );
    expect(findings).toContain('Server 999999 of agent b7 is no longer at Hetzner');
    expect(findings.filter((text) => text.includes('no longer at Hetzner'))).toHaveLength(1);
    expect(await lastSweep(fixture.database)).toMatchObject({ next: null, note: null });
  });
});

test('a sweep uses at most half of Hetzner’s quota', async () => {
  const fixture = await openSweepFixture({ requestsPerHour: 60 });
  try {
    await insertOrphan(fixture, 'first');
    await insertAgents(fixture, 1000);
    const before = await remaining(fixture);
    const report = await fixture.sweep();
    const after = await remaining(fixture);
    expect(report.note).toContain('The budget');
    expect(report.calls).toBeGreaterThan(10);
    // Reading the quota is a call too. Tailnet calls do not count at Hetzner.
    expect(before - after - 1).toBeLessThanOrEqual(before / 2);
  } finally {
    await fixture.close();
  }
});

async function remaining(fixture: SweepFixture): Promise<number> {
  const response = await fetch(`${fixture.sandbox.url}/hetzner/v1/locations`);
  await response.body?.cancel();
  return Number(response.headers.get('ratelimit-remaining'));
}

describe('a budget', () => {
  const says = (remaining: number) => new Headers({ 'RateLimit-Remaining': String(remaining) });

  test('is a project’s at most its limit, with the tailnet’s calls', () => {
    const budget = createBudgets(3);
    const hetzner = budget.project('default');
    budget.tailscale.begins();
    hetzner.begins();
    hetzner.begins();
    expect(budget.of('default')).toMatchObject({ used: 3, left: 0 });
    expect(() => hetzner.begins()).toThrow('The sweep has used all its 3 calls');
  });

  test('is half of Hetzner’s remaining quota, and does not grow with later answers', () => {
    const budget = createBudgets(400);
    const hetzner = budget.project('default');
    hetzner.begins();
    hetzner.answered(says(100));
    expect(budget.of('default').left).toBe(50);
    for (let call = 0; call < 40; call += 1) hetzner.begins();
    hetzner.answered(says(60));
    expect(budget.of('default').left).toBe(10);
  });

  test('shrinks when others use up the quota', () => {
    const budget = createBudgets(400);
    const hetzner = budget.project('default');
    hetzner.begins();
    hetzner.answered(says(100));
    hetzner.begins();
    hetzner.answered(says(0));
    expect(budget.of('default').left).toBe(0);
  });

  test('is each project’s own, and the tailnet’s calls count towards all', () => {
    const budgets = createBudgets(10);
    const [eu, us] = [budgets.project('eu'), budgets.project('us')];
    eu.begins();
    eu.answered(says(4));
    us.begins();
    budgets.tailscale.begins();
    expect([budgets.of('eu').left, budgets.of('us').left, budgets.left, budgets.used]).toEqual([2, 8, 9, 3]);
    eu.begins();
    eu.begins();
    expect(() => eu.begins()).toThrow('The sweep has used all its 4 calls');
    us.begins();
  });

  test('of the tailnet is what it has not used itself, whatever the projects have', () => {
    const budgets = createBudgets(3);
    const full = budgets.project('full');
    full.begins();
    full.answered(says(0));
    expect(budgets.of('full').left).toBe(0);
    for (let call = 0; call < 3; call += 1) budgets.tailscale.begins();
    expect(budgets.left).toBe(0);
    expect(() => budgets.tailscale.begins()).toThrow('The sweep has used all its 3 calls');
  });
});
