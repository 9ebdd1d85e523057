import { type RawBuilder, sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { violatedConstraint } from '../../src/database/connect.ts';
import { migrate } from '../../src/database/migrations.ts';
import { openEmpty } from './support.ts';

/** The tables enforce these rules themselves, whatever program writes. */
let at: Awaited<ReturnType<typeof openEmpty>>;
beforeAll(async () => {
  at = await openEmpty();
  await migrate(at.database);
});
afterAll(() => at.close());
beforeEach(async () => {
  await sql`truncate agents, operations, operation_events, orders, stripe_events, audit_log, foundations,
    idempotency_keys, installation cascade`.execute(at.database);
  await run(sql`insert into agents (agent_id, user_id, region, location, plan) values
    ('a1', 'u1', 'eu-central', 'nbg1', 'starter'), ('a2', 'u1', 'eu-central', 'nbg1', 'starter')`);
  await run(sql`insert into stripe_events (id, type, livemode, payload, outcome, created_at)
    values ('evt_1', 't', false, '{}', 'acted', now()), ('evt_2', 't', false, '{}', 'acted', now())`);
});

const run = (statement: RawBuilder<unknown>) => statement.execute(at.database);

/** Returns the SQL state of a refused statement. */
async function refusal(statement: RawBuilder<unknown>): Promise<string> {
  try {
    await run(statement);
  } catch (error) {
    return `${(error as { code: string }).code} ${(error as { constraint?: string }).constraint ?? ''}`.trim();
  }
  return 'accepted';
}

const operation = (agentId: string, kind: string, status: string) => {
  const lease = status === 'active' ? sql`'w1', now()` : sql`null, null`;
  const finished = ['succeeded', 'failed', 'cancelled'].includes(status) ? sql`now()` : sql`null`;
  return sql`insert into operations (agent_id, kind, status, executor, worker_id, lease_until, finished_at, error)
    values (${agentId}, ${kind}, ${status}, 'local', ${lease}, ${finished}, 'why')`;
};

describe('one active operation per agent', () => {
  test('a second active operation of an agent', async () => {
    await run(operation('a1', 'provision', 'active'));
    expect(await refusal(operation('a1', 'destroy', 'active'))).toBe('23505 operations_one_active_per_agent');
    expect(await refusal(operation('a2', 'provision', 'active'))).toBe('accepted');
  });

  test.each(['queued', 'active'])('a second unfinished provision beside a %s one', async (status) => {
    await run(operation('a1', 'provision', status));
    expect(await refusal(operation('a1', 'provision', 'queued'))).toBe(
      '23505 operations_one_unfinished_provision',
    );
    expect(await refusal(operation('a1', 'refresh', 'queued'))).toBe('accepted');
  });

  test('a second unfinished destroy', async () => {
    await run(operation('a1', 'destroy', 'queued'));
    expect(await refusal(operation('a1', 'destroy', 'queued'))).toBe('23505 operations_one_destroy');
  });

  test('finished ones do not count', async () => {
    for (const status of ['failed', 'cancelled', 'succeeded'])
      await run(operation('a1', 'provision', status));
    expect(await refusal(operation('a1', 'provision', 'queued'))).toBe('accepted');
  });
});

describe('an operation’s columns fit its status', () => {
  test.each([
    ['active without a lease', sql`update operations set status = 'active', worker_id = 'w'`],
    ['active without a worker', sql`update operations set status = 'active', lease_until = now()`],
    ['queued with a lease', sql`update operations set worker_id = 'w', lease_until = now()`],
    ['finished without a time', sql`update operations set status = 'succeeded'`],
    ['unfinished with a time', sql`update operations set finished_at = now()`],
    [
      'failed without a reason',
      sql`update operations set status = 'failed', finished_at = now(), error = null`,
    ],
    ['more failed tries than allowed', sql`update operations set retry_count = 4`],
    ['a negative attempt', sql`update operations set attempt = -1`],
    ['an unknown status', sql`update operations set status = 'done', finished_at = now()`],
    ['an invalid kind', sql`update operations set kind = 'Explode!'`],
    ['a kind that is too long', sql`update operations set kind = repeat('x', 32)`],
    ['an invalid failure code', sql`update operations set failure_code = 'It failed.'`],
    ['an unknown executor', sql`update operations set executor = 'cron'`],
  ])('%s', async (_, statement) => {
    await run(operation('a1', 'provision', 'queued'));
    expect(await refusal(statement)).toMatch(/^23514/);
  });

  test('of no agent, or of an event that was never stored', async () => {
    expect(await refusal(operation('nobody', 'provision', 'queued'))).toMatch(/^23503/);
    await run(operation('a1', 'provision', 'queued'));
    expect(await refusal(sql`update operations set stripe_event_id = 'evt_unknown'`)).toMatch(/^23503/);
  });

  test('two operations from one event', async () => {
    await run(operation('a1', 'provision', 'queued'));
    await run(operation('a2', 'provision', 'queued'));
    expect(await refusal(sql`update operations set stripe_event_id = 'evt_1'`)).toMatch(/^23505/);
  });

  test('two events with one number', async () => {
    await run(operation('a1', 'provision', 'queued'));
    const event = sql`insert into operation_events (operation_id, sequence, attempt, type, data)
      select operation_id, 1, 0, 'log', '{}' from operations`;
    await run(event);
    expect(await refusal(event)).toMatch(/^23505/);
  });
});

describe('an agent’s columns fit its status', () => {
  test.each([
    ['running without a server', sql`update agents set status = 'running', tailnet_ip = '100.64.0.1'`],
    ['running without a tailnet address', sql`update agents set status = 'running', server_id = '42'`],
    ['stopped without a server', sql`update agents set status = 'stopped', tailnet_ip = '100.64.0.1'`],
    ['suspended without a server', sql`update agents set status = 'suspended', tailnet_ip = '100.64.0.1'`],
    ['destroying and protected', sql`update agents set status = 'destroying', protected = true`],
    ['destroyed with a server', sql`update agents set status = 'destroyed', server_id = '42'`],
    ['destroyed with secrets', sql`update agents set status = 'destroyed', secrets = '\\x00'`],
    ['failed without a reason', sql`update agents set status = 'failed'`],
    ['an unknown status', sql`update agents set status = 'zombie'`],
    ['an unknown step', sql`update agents set step = 'dancing'`],
    ['an unknown health', sql`update agents set health = 'fine'`],
  ])('%s', async (_, statement) => {
    expect(await refusal(statement)).toMatch(/^23514/);
  });

  test.each([
    ['an unknown reason', sql`'holiday', now(), 'mia', null`],
    ['nobody who placed it', sql`'abuse', now(), '', null`],
    ['an empty note', sql`'abuse', now(), 'mia', ''`],
    ['an endless note', sql`'abuse', now(), 'mia', repeat('x', 1001)`],
  ])('a hold with %s', async (_, values) => {
    const insert = sql`insert into holds (agent_id, reason, since, by_whom, note) values ('a1', ${values})`;
    expect(await refusal(insert)).toMatch(/^23514/);
  });

  test('two holds for one reason, or a hold of no agent', async () => {
    const insert = (agentId: string) =>
      sql`insert into holds (agent_id, reason, since, by_whom) values (${agentId}, 'abuse', now(), 'mia')`;
    await run(insert('a1'));
    expect(await refusal(insert('a1'))).toMatch(/^23505/);
    expect(await refusal(insert('a9'))).toMatch(/^23503/);
  });

  test('one server for two agents', async () => {
    expect(await refusal(sql`update agents set server_id = '42'`)).toMatch(/^23505/);
  });

  test.each(['', 'A1', 'a_1', 'a%', '-a', 'a-', 'a--b', 'ä', 'a b', 'a'.repeat(41), 'a\n'])(
    'the id %j',
    async (agentId) => {
      const insert = sql`insert into agents (agent_id, user_id, region, location, plan)
        values (${agentId}, 'u', 'r', 'l', 'p')`;
      expect(await refusal(insert)).toMatch(/^23514/);
    },
  );

  test('a used id is refused, and the longest valid one accepted', async () => {
    const insert = (agentId: string) => sql`insert into agents (agent_id, user_id, region, location, plan)
      values (${agentId}, 'u', 'r', 'l', 'p')`;
    expect(await refusal(insert('a1'))).toMatch(/^23505/);
    expect(await refusal(insert('a'.repeat(40)))).toBe('accepted');
  });

  test('the stack’s name follows from the id and cannot be another', async () => {
    expect(await refusal(sql`update agents set stack_name = 'other'`)).toMatch(/^428C9/);
    const row = await at.database
      .selectFrom('agents')
      .select('stack_name')
      .where('agent_id', '=', 'a1')
      .executeTakeFirst();
    expect(row!.stack_name).toBe('agent-a1');
  });

  test('an agent with operations cannot be deleted', async () => {
    await run(operation('a1', 'provision', 'queued'));
    expect(await refusal(sql`delete from agents`)).toMatch(/^23503/);
  });
});

describe('orders and events', () => {
  const order = (session: string, event: string, agent: string | null, attention: string | null) =>
    sql`insert into orders (session_id, stripe_event_id, agent_id, metadata, attention)
      values (${session}, ${event}, ${agent}, '{}', ${attention})`;

  test('a second order for a checkout session', async () => {
    await run(order('cs_1', 'evt_1', 'a1', null));
    expect(await refusal(order('cs_1', 'evt_2', 'a2', null))).toMatch(/^23505/);
  });

  test('an order with neither agent nor reason, or with both', async () => {
    expect(await refusal(order('cs_1', 'evt_1', null, null))).toMatch(/^23514/);
    expect(await refusal(order('cs_1', 'evt_1', 'a1', 'why'))).toMatch(/^23514/);
    expect(await refusal(order('cs_1', 'evt_1', null, 'why'))).toBe('accepted');
  });

  test('an order of an event that was never stored', async () => {
    expect(await refusal(order('cs_1', 'evt_9', 'a1', null))).toMatch(/^23503/);
  });

  test('the same event twice, and one in need of a person without a reason', async () => {
    const event = (id: string, outcome: string) => sql`insert into stripe_events
      (id, type, livemode, payload, outcome, created_at) values (${id}, 't', false, '{}', ${outcome}, now())`;
    expect(await refusal(event('evt_1', 'acted'))).toMatch(/^23505/);
    expect(await refusal(event('evt_3', 'attention'))).toMatch(/^23514/);
    expect(await refusal(event('evt_3', 'forgotten'))).toMatch(/^23514/);
  });
});

test('an installation has one row', async () => {
  const insert = (singleton: boolean) =>
    sql`insert into installation (singleton, mode, accounts) values (${singleton}, 'live', '{}')`;
  await run(insert(true));
  expect(await refusal(insert(true))).toMatch(/^23505/);
  expect(await refusal(insert(false))).toMatch(/^23514/);
});

test('a foundation has both firewall and inputs or neither; its holder has an attempt', async () => {
  const insert = (columns: RawBuilder<unknown>) => sql`insert into foundations (project, ${columns}`;
  expect(await refusal(insert(sql`firewall_id) values ('p', '1')`))).toMatch(/^23514/);
  expect(await refusal(insert(sql`holder_attempt) values ('p', 1)`))).toMatch(/^23514/);
  expect(await refusal(insert(sql`firewall_id, inputs_hash) values ('p', '1', 'h')`))).toBe('accepted');
});

test('a violated constraint’s name is available to callers', async () => {
  await run(operation('a1', 'provision', 'active'));
  const error = await run(operation('a1', 'destroy', 'active')).catch((thrown: unknown) => thrown);
  expect(violatedConstraint(error)).toBe('operations_one_active_per_agent');
  expect(violatedConstraint(new Error('x'))).toBeUndefined();
  expect(violatedConstraint(undefined)).toBeUndefined();
});

describe('the view provisioning_jobs', () => {
  test('has exactly the contract’s columns and types, in order', async () => {
    const { rows } = await sql<{ column: string }>`
      select attname || ' ' || format_type(atttypid, atttypmod) as "column" from pg_attribute
      where attrelid = 'public.provisioning_jobs'::regclass and attnum > 0 order by attnum`.execute(
      at.database,
    );
    expect(rows.map((row) => row.column)).toEqual([
      'id uuid',
      'agent_id text',
      'user_id text',
      'stripe_event_id text',
      'status job_status',
      'region text',
      'workflow_run_id text',
      'retry_count integer',
      'max_retries integer',
      'error text',
      'failed_step text',
      'claimed_at timestamp with time zone',
      'last_heartbeat_at timestamp with time zone',
      'completed_at timestamp with time zone',
      'created_at timestamp with time zone',
      'updated_at timestamp with time zone',
    ]);
    const labels = await sql<{ label: string }>`
      select enumlabel as label from pg_enum where enumtypid = 'job_status'::regtype order by enumsortorder`.execute(
      at.database,
    );
    expect(labels.rows.map((row) => row.label)).toEqual(['queued', 'provisioning', 'running', 'failed']);
  });

  test('has one row per provision and for no other operation, with the statuses of the first version', async () => {
    for (const status of ['failed', 'cancelled', 'succeeded'])
      await run(operation('a1', 'provision', status));
    await run(operation('a1', 'provision', 'queued'));
    await run(operation('a2', 'provision', 'active'));
    await run(operation('a1', 'refresh', 'queued'));
    await run(operation('a1', 'rollback', 'failed'));
    const { rows } = await sql<{ was: string; status: string; user_id: string }>`
      select o.status as was, j.status, j.user_id from provisioning_jobs j join operations o on o.operation_id = j.id
      order by o.sequence`.execute(at.database);
    expect(rows).toEqual([
      { was: 'failed', status: 'failed', user_id: 'u1' },
      { was: 'cancelled', status: 'failed', user_id: 'u1' },
      { was: 'succeeded', status: 'running', user_id: 'u1' },
      { was: 'queued', status: 'queued', user_id: 'u1' },
      { was: 'active', status: 'provisioning', user_id: 'u1' },
    ]);
  });
});

describe('people, tokens and sessions', () => {
  const person = (name: string, role = 'viewer') =>
    sql`insert into people (name, login, role, created_by) values (${name}, ${name}, ${role}, 'operator')`;
  const token = (
    hash: Buffer,
    days: number,
  ) => sql`insert into tokens (person_id, label, hash, created_by, expires_at)
    select person_id, 'l', ${hash}, 'operator', now() + make_interval(days => ${days}) from people where name = 'ada'`;

  test('names, roles, hashes, lengths of life', async () => {
    await run(sql`truncate people cascade`);
    await run(person('ada'));
    expect(await refusal(person('ada'))).toBe('23505 people_name_key');
    for (const name of ['Ada', 'a b', 'operator', '', 'a'.repeat(101), 'ada via mcp'])
      expect([name, (await refusal(person(name))).slice(0, 5)]).toEqual([name, '23514']);
    expect((await refusal(person('bob', 'owner'))).slice(0, 5)).toBe('23514');
    const hash = Buffer.alloc(32, 1);
    expect(await refusal(token(hash, 366))).toBe('accepted');
    expect(await refusal(token(hash, 30))).toBe('23505 tokens_hash_key');
    for (const [wrong, days] of [
      [Buffer.alloc(31), 30],
      [Buffer.alloc(32, 2), 400],
      [Buffer.alloc(32, 3), 0],
    ] as const)
      expect((await refusal(token(wrong, days))).slice(0, 5)).toBe('23514');
  });

  test('who is removed takes tokens and sessions along', async () => {
    await run(sql`truncate people cascade`);
    await run(person('ada'));
    await run(token(Buffer.alloc(32, 1), 30));
    await run(sql`insert into sessions (id_hash, person_id, token_id, expires_at)
      select ${Buffer.alloc(32, 1)}, person_id, token_id, now() + interval '1 hour' from tokens`);
    await run(sql`delete from people`);
    const { rows } = await sql<{
      left: number;
    }>`select (select count(*) from tokens) + (select count(*) from sessions) as left`.execute(at.database);
    expect(Number(rows[0]!.left)).toBe(0);
  });
});
