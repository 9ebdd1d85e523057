import { type Kysely, sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import * as first from '../../src/database/migrations/0001-first.ts';
import * as github from '../../src/database/migrations/0002-github-actions.ts';
import * as health from '../../src/database/migrations/0004-health.ts';
import * as parameters from '../../src/database/migrations/0005-operation-parameters.ts';
import * as identity from '../../src/database/migrations/0006-tailnet-identity.ts';
import * as intake from '../../src/database/migrations/0007-intake.ts';
import * as sessions from '../../src/database/migrations/0009-sessions.ts';
import * as checks from '../../src/database/migrations/0010-live-checks.ts';
import * as kinds from '../../src/database/migrations/0011-operation-kinds.ts';
import * as holds from '../../src/database/migrations/0012-holds.ts';
import * as hibernation from '../../src/database/migrations/0013-hibernation.ts';
import * as subscriptions from '../../src/database/migrations/0014-subscriptions.ts';
import * as limits from '../../src/database/migrations/0015-limits.ts';
import { openEmpty } from './support.ts';

let at: Awaited<ReturnType<typeof openEmpty>>;
beforeEach(async () => {
  at = await openEmpty();
  for (const { up } of [first, github, health, parameters]) await up(at.database as Kysely<unknown>);
});
afterEach(() => at.close());

/** The statuses of the first version. */
const FIRST_STATUSES = [
  'requested',
  'provisioning',
  'running',
  'stopping',
  'stopped',
  'suspended',
  'failed',
  'destroying',
  'destroyed',
];

/** Possible contents of such a row: valid values, values of other types, and values shared by two rows. */
const CONTENTS = [
  { ip: (n: number) => `100.64.0.${n}`, id: (n: number) => String(n), inputs: { keyGeneration: 2 } },
  { ip: () => '100.64.9.9', id: (n: number) => String(100 + n), inputs: {} },
  { ip: (n: number) => `-oX${n}`, id: (n: number) => `id ${n}`, inputs: { keyGeneration: 'abc' } },
  { ip: (n: number) => `fd7a:115c:a1e0::${n}`, id: (n: number) => String(200 + n), inputs: [] },
];

test('rows of every status, however odd, are migrated and can be changed afterwards', async () => {
  let n = 0;
  for (const status of FIRST_STATUSES)
    for (const { ip, id, inputs } of CONTENTS) {
      n += 1;
      const hasServer = status !== 'destroyed';
      await sql`insert into agents (agent_id, user_id, region, location, plan, status, server_id, server_name, ipv4, ipv6, tailnet_ip,
          tailnet_name, inputs, secrets, error, subscription_id) values (${`a${n}`}, 'u', 'r', 'l', 'p', ${status}, ${hasServer ? id(n) : null},
          'agent', '192.0.2.1', '', ${hasServer ? ip(n) : null}, '', ${JSON.stringify(inputs)}::jsonb,
          ${hasServer ? Buffer.of(1) : null}, ${'e'.repeat(n % 2 ? 9000 : 3)}, 'sub_1')`.execute(at.database);
      for (const operation of ['queued', 'active', 'succeeded', 'failed', 'cancelled'])
        await sql`insert into operations (agent_id, kind, status, executor, error, worker_id, lease_until, finished_at) values (
          ${`a${n}`}, 'refresh', ${operation}, 'local', 'e', ${operation === 'active' ? 'w' : null},
          ${operation === 'active' ? new Date() : null}, ${/ed$/.test(operation) && operation !== 'queued' ? new Date() : null})`.execute(
          at.database,
        );
    }
  await sql`insert into installation (mode, accounts) values ('live', '{"hetzner": "https://api.example/v1/ x"}')`.execute(
    at.database,
  );
  for (const { up } of [identity, intake, sessions, checks, kinds, holds, hibernation, subscriptions, limits])
    await up(at.database as Kysely<unknown>);
  const { rows } = await sql<{ accounts: object }>`select accounts from installation`.execute(at.database);
  expect(rows[0]?.accounts).toEqual({ hetzner: 'https://api.example/v1 x' });
  await sql`update agents set updated_at = now()`.execute(at.database);
  await sql`update operations set updated_at = now()`.execute(at.database);
  await sql`update agents set status = 'destroying' where status <> 'destroyed'`.execute(at.database);
  await sql`update agents set status = 'destroyed', server_id = null, secrets = null, tailnet_ip = null`.execute(
    at.database,
  );
});

test('a failure that the next attempt acts on gets its code once, from its text', async () => {
  for (const { up } of [identity, intake, sessions, checks]) await up(at.database as Kysely<unknown>);
  const said = 'The server did not join the tailnet in time: there is no device agent-a1';
  const rows = [
    { error: said, failures: 0, before: null, code: 'not-joined' },
    { error: 'GitHub answered 500', failures: 2, before: said, code: 'not-joined' },
    { error: said, failures: 1, before: 'no capacity', code: null },
    { error: `no: ${said}`, failures: 0, before: null, code: null },
    { error: null, failures: 0, before: null, code: null },
  ];
  await sql`insert into agents (agent_id, user_id, region, location, plan) values ('a1', 'u', 'r', 'l', 'p')`.execute(
    at.database,
  );
  for (const { error, failures, before } of rows)
    await sql`insert into operations (agent_id, kind, executor, error, dispatch_failures, error_before_dispatch)
      values ('a1', 'refresh', 'local', ${error}, ${failures}, ${before})`.execute(at.database);
  await kinds.up(at.database as Kysely<unknown>);
  const found = await sql<{ failure_code: string | null }>`
    select failure_code from operations order by sequence`.execute(at.database);
  expect(found.rows.map((row) => row.failure_code)).toEqual(rows.map(({ code }) => code));
  await sql`update operations set kind = 'later'`.execute(at.database);
});
