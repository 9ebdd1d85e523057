import { type Kysely, sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import * as first from '../../src/database/migrations/0001-first.ts';
import * as github from '../../src/database/migrations/0002-github-actions.ts';
import * as health from '../../src/database/migrations/0004-health.ts';
import * as parameters from '../../src/database/migrations/0005-operation-parameters.ts';
import * as intake from '../../src/database/migrations/0007-intake.ts';
import { openEmpty } from './support.ts';

let at: Awaited<ReturnType<typeof openEmpty>>;
beforeEach(async () => {
  at = await openEmpty();
  for (const { up } of [first, github, health, parameters]) await up(at.database as Kysely<unknown>);
});
afterEach(() => at.close());

test('rows that an earlier version accepted are repaired, and can be changed and destroyed afterwards', async () => {
  await sql`insert into agents (agent_id, user_id, region, location, plan, status, server_id, server_name, ipv4, ipv6,
      tailnet_ip, tailnet_name, inputs) values
    ('good', 'u', 'r', 'l', 'p', 'running', '42', 'agent-good', '192.0.2.1', '2001:db8::1', '100.64.0.1', 'agent-good.t.ts.net',
      '{"keyGeneration": 3}'),
    ('bad', 'u', 'r', 'l', 'p', 'running', '-x', '-y', 'v4', 'v6', '-oKnownHostsCommand=x', 'a b', '{"keyGeneration": "abc"}'),
    ('worse', 'u', 'r', 'l', 'p', 'stopped', 'srv', null, null, null, 'nowhere', null, '{"keyGeneration": -1}'),
    ('single', 'u', 'r', 'l', 'p', 'running', '43', 'agent-single', '192.0.2.3', '', '100.64.0.3', 'agent-single.t.ts.net', null),
    ('new', 'u', 'r', 'l', 'p', 'requested', null, null, null, null, null, null, null)`.execute(at.database);
  await sql`insert into operations (agent_id, kind, status, executor, error, step, workflow_run_id, finished_at)
    values ('bad', 'provision', 'failed', 'local', repeat('e', 9000), repeat('s', 300), '..', now())`.execute(
    at.database,
  );
  const good = await getRow('good');
  await intake.up(at.database as Kysely<unknown>);
  expect(await getRow('good')).toEqual({ ...good, rollback_error: null });
  expect(await getRow('single')).toMatchObject({ ipv6: null, health: 'unknown', error: null });
  expect(await getRow('bad')).toMatchObject({
    server_name: null,
    ipv4: null,
    ipv6: null,
    tailnet_name: null,
    health: 'unhealthy',
    error: expect.stringContaining('refresh'),
    inputs: { keyGeneration: 1 },
  });
  const { rows } = await sql<{ was: string }>`
    select details->>'was' as was from audit_log where action = 'agent.mended' order by id`.execute(
    at.database,
  );
  expect(rows.map(({ was }) => was)).toContain('-oKnownHostsCommand=x');
  const [bad, worse] = [await getRow('bad'), await getRow('worse')];
  expect(bad!.tailnet_ip).toMatch(/^2001:db8::/);
  expect(new Set([bad!.tailnet_ip, worse!.tailnet_ip, bad!.server_id, worse!.server_id]).size).toBe(4);
  await sql`update agents set status = 'destroying'`.execute(at.database);
  await sql`update operations set retry_count = 1`.execute(at.database);
});

const getRow = async (agentId: string) =>
  (await sql<Record<string, unknown>>`select * from agents where agent_id = ${agentId}`.execute(at.database))
    .rows[0];

test.each([
  `inputs = '{"keyGeneration": "abc"}'`,
  `inputs = '{"keyGeneration": 0}'`,
  `inputs = '{"keyGeneration": 1.5}'`,
  `inputs = '{"keyGeneration": null}'`,
  `server_id = 'x'`,
  `ipv4 = '1.2.3'`,
  `ipv4 = '256.1.1.1'`,
  `ipv6 = '1.2.3.4'`,
  `tailnet_ip = '-oX'`,
  `tailnet_ip = E'100.64.0.7\\n'`,
  `tailnet_name = '-x'`,
  `server_name = 'a b'`,
  `error = repeat('e', 8001)`,
])('%s is refused', async (assignment) => {
  await intake.up(at.database as Kysely<unknown>);
  await sql`insert into agents (agent_id, user_id, region, location, plan) values ('a', 'u', 'r', 'l', 'p')`.execute(
    at.database,
  );
  const update = sql.raw(`update agents set ${assignment}`).execute(at.database);
  await expect(update).rejects.toMatchObject({ code: '23514' });
});
