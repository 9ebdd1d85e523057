import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { API_TOKEN, startService, type TestService } from '../support/http-service.ts';
import { finishProvision } from '../support/operation-progress.ts';

let service: TestService;
/** Agents a001 to a120; every tenth has stopped. */
beforeAll(async () => {
  service = await startService();
  await sql`insert into agents (agent_id, user_id, region, location, plan, status, health, server_id, server_name, ipv4,
      tailnet_ip, subscription_id, created_at)
    select 'a' || to_char(n, 'FM000'), 'user-' || (200 - n), case when n % 2 = 0 then 'eu-west' else 'us-east' end, 'fsn1', 'starter',
      case when n % 10 = 0 then 'stopped' else 'running' end, 'healthy', (9000 + n)::text, 'agent-a' || n, '192.0.2.' || n,
      '100.64.0.' || n, 'sub_' || n, now() - make_interval(mins => 200 - n / 2)
    from generate_series(1, 120) n`.execute(service.database);
});
afterAll(() => service.stop());

const page = async (path: string) => (await service.ask(path)).text();
const idsIn = (markup: string) => [...markup.matchAll(/<a href="\/agents\/(a\d+)">/g)].map(([, id]) => id);
const found = (markup: string) => /id="found" role="status">([^<]*)</.exec(markup)?.[1];
const nextIn = (markup: string) =>
  /href="(\/agents\?[^"]*)">Next page/.exec(markup)?.[1]?.replaceAll('&amp;', '&');

describe('the search', () => {
  test.each([
    ['part of an id', 'a01', 10],
    ['the user', 'user-80', 1],
    ['the address', '192.0.2.77', 1],
    ['the tailnet address', '100.64.0.120', 1],
    ['the server', '9119', 1],
    ['the subscription, in any case', 'SUB_33', 1],
    ['several words, all of which must match', 'us-east a00', 5],
    ['a wildcard of the database, as itself', 'a_01', 0],
    ['and one that matches everything', '%', 0],
  ])('finds %s: %s', async (_name, text, count) => {
    const markup = await page(`/agents?${new URLSearchParams({ q: text })}`);
    expect(idsIn(markup)).toHaveLength(count);
    expect(found(markup)).toBe(count === 1 ? '1 agent matches' : `${count} agents match`);
  });

  test('keeps what was searched for, escaped, and says what to do where nothing matches', async () => {
    const markup = await page(`/agents?${new URLSearchParams({ q: '"><script>' })}`);
    expect(markup).toContain('value="&quot;&gt;&lt;script&gt;"');
    expect(markup).toContain('No agent matches');
    expect(markup).toContain('<a class="button primary" href="/agents">Show all agents</a>');
  });

  test.each(['%00', 'a01%00', '%0Aa01%1F'])('control characters are left out: %s', async (text) => {
    const response = await service.ask(`/agents?q=${text}`);
    expect(response.status).toBe(200);
    expect(found(await response.text())).toBe(text === '%00' ? '120 agents' : '10 agents match');
  });

  test('an unknown filter counts as none', async () => {
    expect(found(await page('/agents?status=flying&order=backwards&held=7&region=<b>'))).toBe('120 agents');
  });
});

test('filters, alone and together', async () => {
  expect(found(await page('/agents?status=stopped'))).toBe('12 agents match');
  expect(found(await page('/agents?status=stopped&region=us-east'))).toBe('0 agents match');
  await sql`insert into holds (agent_id, reason, since, by_whom) values ('a007', 'abuse', now(), 'operator')`.execute(
    service.database,
  );
  expect(idsIn(await page('/agents?held=yes'))).toEqual(['a007']);
  expect(found(await page('/agents?held=no'))).toBe('119 agents match');
  expect(await page('/agents?status=stopped')).toContain('<option value="stopped" selected>Stopped</option>');
});

test.each([
  ['newest', 'a120', 'a001'],
  ['oldest', 'a001', 'a120'],
  ['id', 'a001', 'a120'],
  ['user', 'a100', 'a101'],
])('pages ordered by %s join without a gap or a double', async (order, first, last) => {
  const ids: (string | undefined)[] = [];
  let path: string | undefined = `/agents?order=${order}`;
  while (path !== undefined) {
    const markup: string = await page(path);
    ids.push(...idsIn(markup));
    path = nextIn(markup);
  }
  expect(ids).toHaveLength(120);
  expect(new Set(ids).size).toBe(120);
  expect([ids[0], ids.at(-1)]).toEqual([first, last]);
});

test('a heading sorts, says how it is sorted, and begins at the first page again', async () => {
  const markup = await page('/agents?status=running&order=id');
  expect(markup).toContain(
    '<th scope="col" aria-sort="ascending"><a href="/agents?status=running&amp;order=id">Agent</a>',
  );
  expect(markup).toContain('<a href="/agents?status=running&amp;order=user">User</a>');
  const next = nextIn(markup)!;
  expect(await page(next)).toContain('href="/agents?status=running&amp;order=user"');
  // The cursor of one order says nothing in another.
  expect(idsIn(await page(next.replace('order=id', 'order=user')))[0]).toBe('a099');
  expect((await service.ask('/agents?cursor=nonsense')).status).toBe(400);
});

describe('several agents at once', () => {
  const choose = (kind: string, ids: string[]) =>
    page(
      `/bulk?${new URLSearchParams([['kind', kind], ...ids.map((id): [string, string] => ['agentId', id])])}`,
    );
  const confirm = async (kind: string, ids: string[], count: string | number, operations: string[] = []) => {
    const body = new URLSearchParams([
      ['kind', kind],
      ['count', String(count)],
      ...ids.map((id): [string, string] => ['agentId', id]),
      ...operations.map((id): [string, string] => ['operationId', id]),
    ]);
    const response = await service.ask('/bulk', {
      method: 'POST',
      headers: { authorization: `Bearer ${API_TOKEN}`, 'content-type': 'application/x-www-form-urlencoded' },
      body: body.toString(),
    });
    return { status: response.status, text: await response.text() };
  };

  test('the confirmation counts, and names those whose state does not allow it', async () => {
    const markup = await choose('restart', ['a001', 'a002', 'a010', 'a002', 'a999']);
    expect(markup).toContain('<h1>Restart 2 agents?</h1>');
    expect(markup).toMatch(
      /1 agent of those you ticked cannot[^<]*<a href="\/agents\/a010">a010<\/a> \(stopped\)/,
    );
    expect([...markup.matchAll(/name="agentId" value="(\w+)"/g)].map(([, id]) => id)).toEqual([
      'a001',
      'a002',
    ]);
    expect(await choose('restart', [])).toContain('Nothing is chosen');
  });

  test('what loses something asks for the number, and nothing happens with a wrong one', async () => {
    expect(await choose('destroy', ['a003', 'a004'])).toContain('Type 2 to confirm');
    for (const wrong of [3, '', 'two'])
      expect((await confirm('destroy', ['a003', 'a004'], wrong)).status).toBe(400);
    expect(await (await service.ask('/api/agents/a003')).json()).toMatchObject({ status: 'running' });
  });

  test('each is requested on its own: one that is refused keeps no other from it', async () => {
    await service.ask('/api/agents/a005/restart', { method: 'POST' });
    const { status, text } = await confirm('restart', ['a005', 'a006'], 2);
    expect(status).toBe(200);
    expect(text).toContain('Restart: requested for 1 agent');
    expect(text).toMatch(/<a href="\/agents\/a005">a005<\/a>: A restart of agent a005 is already under way/);
    expect(await (await service.ask('/api/agents/a006/operations')).json()).toMatchObject({
      items: [{ kind: 'restart' }],
    });
  });

  test('failed ones are retried together', async () => {
    const created = await service.ask('/api/agents', {
      json: { agentId: 'f1', userId: 'u', region: 'eu-west' },
    });
    const { operationId } = (await created.json()) as { operationId: string };
    await sql`update operations set status = 'failed', error = 'No.', finished_at = now() where operation_id = ${operationId}`.execute(
      service.database,
    );
    await sql`update agents set status = 'failed', error = 'No.' where agent_id = 'f1'`.execute(
      service.database,
    );
    const markup = await choose('retry', ['f1', 'a001']);
    expect(markup).toContain('<h1>Retry 1 agent?</h1>');
    expect(markup).toContain('<a href="/agents/f1">f1</a> (provision)');
    expect(markup).toContain(`name="operationId" value="${operationId}"`);
    expect((await confirm('retry', ['f1'], 1)).text).toContain('Refused for 1 agent');
    expect((await confirm('retry', ['f1'], 1, [operationId])).text).toContain('Retry: requested for 1 agent');
    await finishProvision(service.database, { agentId: 'f1', operationId });
    expect(await choose('retry', ['f1'])).toContain('<h1>Retry 0 agents?</h1>');
  });

  test('an error half-way breaks it off, and the page says for whom it was requested and for whom not', async () => {
    await sql`create function break_one() returns trigger language plpgsql as $$
      begin if new.agent_id = 'a022' then raise exception 'secret detail'; end if; return new; end $$`.execute(
      service.database,
    );
    await sql`create trigger break_one before insert on operations for each row execute function break_one()`.execute(
      service.database,
    );
    const { status, text } = await confirm('restart', ['a021', 'a022', 'a023', 'a024'], 4);
    await sql`drop function break_one cascade`.execute(service.database);
    expect(status).toBe(500);
    expect(text).toContain('Restart: requested for 1 agent');
    expect(text).toMatch(
      /Refused for 1 agent<\/h2>\s*<ul><li><a href="\/agents\/a022">a022<\/a>: It broke off/,
    );
    expect(text).toMatch(
      /Not tried for 2 agents<\/h2>\s*<p><a href="\/agents\/a023">a023<\/a>, <a href="\/agents\/a024">/,
    );
    expect(text).not.toContain('secret detail');
    expect(service.logged).toContainEqual(expect.objectContaining({ event: 'bulk.broken', agentId: 'a022' }));
    expect(await (await service.ask('/api/agents/a023/operations')).json()).toMatchObject({ items: [] });
  });

  test('no action is chosen beforehand, and none is taken without a choice', async () => {
    const list = await page('/agents');
    expect(list).toContain('<select name="kind" required><option value="">Choose…</option>');
    expect(await page('/bulk?kind=&agentId=a001')).toContain('Nothing is chosen');
    expect(await page('/bulk?agentId=a001')).toContain('Nothing is chosen');
  });

  test('unknown operations, ones with parameters, and too many agents are refused', async () => {
    expect((await service.ask('/bulk?kind=explode&agentId=a001')).status).toBe(404);
    expect((await service.ask('/bulk?kind=resize&agentId=a001')).status).toBe(404);
    expect((await confirm('explode', ['a001'], 1)).status).toBe(404);
    const many = Array.from({ length: 101 }, (_, n) => `m${n}`);
    expect((await confirm('restart', many, 101)).status).toBe(400);
  });
});
