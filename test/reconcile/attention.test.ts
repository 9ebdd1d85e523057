import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { countAttention, listAttention } from '../../src/reconcile/attention.ts';
import { addRunning, buy, change, type LimitsFixture, openLimits, reset } from '../limits/limits-fixture.ts';

let at: LimitsFixture;
beforeAll(async () => {
  at = await openLimits();
});
afterAll(() => at.close());
beforeEach(() => reset(at));

test('an installation in order needs no one', async () => {
  await addRunning(at, 3);
  await buy(at, 'b1');
  expect(await listAttention(at.database, { limit: 50 })).toEqual([]);
  expect(await countAttention(at.database)).toBe(0);
});

test('every class, newest first, each with its cause and what to do', async () => {
  await addRunning(at, 20);
  await sql`insert into stripe_events (id, type, livemode, payload, outcome, created_at)
    values ('evt_1', 't', false, '{}', 'acted', now())`.execute(at.database);
  await sql`insert into orders (session_id, stripe_event_id, metadata, attention, created_at)
    values ('cs_1', 'evt_1', '{}', 'metadata.region is unknown', '2027-01-05')`.execute(at.database);
  await sql`update agents set status = 'failed', server_id = null, tailnet_ip = null, error = 'No stock.',
    rollback_error = 'Hetzner is away', updated_at = '2027-01-04' where agent_id = 'a1'`.execute(at.database);
  await sql`update agents set health = 'unhealthy', unhealthy_since = '2027-01-03' where agent_id = 'a2'`.execute(
    at.database,
  );
  await sql`update agents set status = 'destroying', error = 'It is protected.', updated_at = '2027-01-02'
    where agent_id = 'a3'`.execute(at.database);
  await change(at, 'a4', 'destroy');
  await change(at, 'a5', 'destroy');
  await sql`insert into workers (worker_id, host, process, concurrency) values ('w1', 'h', 'p', 1), ('w2', 'h', 'p', 1)`.execute(
    at.database,
  );
  await sql`update workers set seen_at = now() - interval '1 minute' where worker_id = 'w2'`.execute(
    at.database,
  );
  await sql`insert into checks (worker_id, name, ok, blocks, detail, cure, since) values
    ('w1', 'hetzner', false, true, 'The token is refused.', 'Set HCLOUD_TOKEN.', '2026-12-31'),
    ('w1', 'tailscale', true, false, 'fine', null, '2026-12-31'),
    ('w2', 'stripe', false, false, 'A dead worker’s.', 'None.', '2026-12-31')`.execute(at.database);

  const items = await listAttention(at.database, { limit: 50 });
  expect(items.map(({ position: _, since, ...item }) => ({ ...item, since: since.toISOString() }))).toEqual([
    {
      class: 'order',
      agentId: null,
      since: '2027-01-05T00:00:00.000Z',
      cause: 'Order cs_1 was paid and has no agent: metadata.region is unknown',
      cure: expect.stringContaining('refund the payment'),
    },
    {
      class: 'failed',
      agentId: 'a1',
      since: '2027-01-04T00:00:00.000Z',
      cause: 'No stock. Some of its resources could not be removed and may be billed: Hetzner is away',
      cure: expect.stringContaining('Retry the operation'),
    },
    {
      class: 'unhealthy',
      agentId: 'a2',
      since: '2027-01-03T00:00:00.000Z',
      cause: 'It does not answer.',
      cure: expect.stringContaining('Press Restart'),
    },
    {
      class: 'failed',
      agentId: 'a3',
      since: '2027-01-02T00:00:00.000Z',
      cause: 'Its destroy has not succeeded yet: It is protected.',
      cure: expect.stringContaining('tries again by itself'),
    },
    {
      class: 'breaker',
      agentId: null,
      since: '2027-01-01T00:00:00.000Z',
      cause: expect.stringMatching(
        /^The service destroys at most 1 .* 1 changes wait, and a person has approved 0/,
      ),
      cure: expect.stringContaining('npm run agents -- approve destroys'),
    },
    {
      class: 'configuration',
      agentId: null,
      since: '2026-12-31T00:00:00.000Z',
      cause: 'The token is refused.',
      cure: 'Set HCLOUD_TOKEN.',
    },
  ]);
  expect(await countAttention(at.database)).toBe(6);
});

test('pages join without a gap or a double, also among items of the same moment', async () => {
  await addRunning(at, 7);
  await sql`update agents set health = 'unhealthy',
    unhealthy_since = case when agent_id < 'a4' then '2027-01-01 00:00:00.000002' else '2027-01-01 00:00:00.000001' end::timestamptz`.execute(
    at.database,
  );
  const found: (string | null)[] = [];
  let after: Awaited<ReturnType<typeof listAttention>>[number]['position'] | undefined;
  for (;;) {
    const page = await listAttention(at.database, { after, limit: 2 });
    found.push(...page.map(({ agentId }) => agentId));
    after = page.at(-1)?.position;
    if (page.length < 2) break;
  }
  expect(found).toEqual(['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7']);
});

test('slots that could not be handed over within the last hour, by pool', async () => {
  const add = (at: string, location: string, error: string) => sql`
    insert into slots (slot_id, project, location, plan, fingerprint, status, failure_code, error, failed_at)
    values (${`slot-${createHash('sha256').update(error).digest('hex').slice(0, 24)}`}, 'default', ${location},
      'starter', 'f', 'removed', 'not_handed_over', ${error}, now() - ${at}::interval)`;
  await add('2 minutes', 'nbg1', 'no answer').execute(at.database);
  await add('1 minute', 'nbg1', 'another host key').execute(at.database);
  await add('2 hours', 'ash', 'long ago').execute(at.database);
  const items = await listAttention(at.database, { limit: 50 });
  expect(items.map(({ class: of, cause }) => ({ class: of, cause }))).toEqual([
    {
      class: 'configuration',
      cause:
        '2 servers in nbg1 for plan starter could not be handed over within the last hour. The last one: another host key',
    },
  ]);
});

test('what waits for the key of the state shows after ten minutes, with a cure of its own', async () => {
  await addRunning(at, 1);
  const add = (kind: string, code: string | null) =>
    sql`insert into operations (operation_id, agent_id, kind, executor, status, waits_for, failure_code, run_after, created_at)
      values (gen_random_uuid(), 'a1', ${kind}, 'local', 'queued', 'It is away', ${code}, now() + interval '1 minute',
        now() - interval '11 minutes')`.execute(at.database);
  for (const [kind, code, cure] of [
    ['refresh', 'state-key-unusable', /PULUMI_SECRETS_PROVIDER/],
    ['destroy', 'state-key-unusable', /PULUMI_SECRETS_PROVIDER/],
    ['refresh', null, /BILLING_PLANS/],
  ] as const) {
    await sql`delete from operations`.execute(at.database);
    await add(kind, code);
    const [item] = await listAttention(at.database, { limit: 5 });
    expect(item).toMatchObject({ cause: `Its ${kind} waits: It is away`, cure: expect.stringMatching(cure) });
  }
});

test('an adoption that nobody lets in shows after an hour, with what to do', async () => {
  await addRunning(at, 1);
  const add = (age: string, status: string, step: string | null, waits: string | null) =>
    sql`insert into operations (operation_id, agent_id, kind, executor, status, step, waits_for, created_at, worker_id, lease_until)
      values (gen_random_uuid(), 'a1', 'adopt-server', 'local', ${status}, ${step}, ${waits}, now() - ${age}::interval,
        ${status === 'active' ? 'w' : null}, ${status === 'active' ? sql`now() + interval '1 minute'` : null})`.execute(
      at.database,
    );
  const list = async () =>
    (await listAttention(at.database, { limit: 5 })).map(({ cause, cure }) => ({ cause, cure }));
  for (const [status, step, waits, cause] of [
    ['queued', null, 'Waiting until 192.0.2.1 lets', /Its adoption waits: Waiting until 192/],
    ['active', 'awaiting_access', null, /waits until its owner/],
  ] as const) {
    await sql`delete from operations`.execute(at.database);
    await add('59 minutes', status, step, waits);
    expect(await list()).toEqual([]);
    await sql`update operations set created_at = now() - interval '61 minutes'`.execute(at.database);
    expect(await list()).toEqual([
      { cause: expect.stringMatching(cause), cure: expect.stringMatching(/script.*after a day/) },
    ]);
  }
});
