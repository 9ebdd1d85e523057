import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { monitoringNotice } from '../../src/dashboard/overview/overview-page.ts';
import { CURES_BY_CODE } from '../../src/operations/cures.ts';
import { readProvisionFigures } from '../../src/operations/figures.ts';
import { listNeeds } from '../../src/reconcile/needs.ts';
import { startService, type TestService } from '../support/http-service.ts';
import { finishProvision } from '../support/operation-progress.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());
beforeEach(async () => {
  await sql`truncate agents, operations, stripe_events, orders, workers, findings, held_changes cascade`.execute(
    service.database,
  );
  await sql`update breakers set tripped_at = null, cause = null`.execute(service.database);
});

const overview = async () => (await service.ask('/')).text();
/** What the page says, as a reader sees it. */
const textOf = (markup: string) =>
  markup
    .replaceAll(/<[^>]+>/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim();
const needs = async () => /<h2>Needs you<\/h2>[\s\S]*?<div id="fleet"/.exec(await overview())?.[0] ?? '';

async function order(agentId: string): Promise<{ agentId: string; operationId: string }> {
  const response = await service.ask('/api/agents', { json: { agentId, userId: 'u', region: 'eu-west' } });
  return (await response.json()) as { agentId: string; operationId: string };
}

async function running(agentId: string): Promise<void> {
  await finishProvision(service.database, await order(agentId));
}

/** A provision that has failed for the last time. */
async function failed(agentId: string, error: string, code: string | null): Promise<void> {
  const { operationId } = await order(agentId);
  await sql`update operations set status = 'failed', error = ${error}, failure_code = ${code}, failed_step = 'creating_server',
    finished_at = now() where operation_id = ${operationId}`.execute(service.database);
  await sql`update agents set status = 'failed', error = ${error} where agent_id = ${agentId}`.execute(
    service.database,
  );
}

const worker = (seenAgo: string) =>
  sql`insert into workers (worker_id, host, process, concurrency, seen_at)
    values ('w1', 'host-1', 'p', 4, now() - ${seenAgo}::interval)`.execute(service.database);

test('an installation in order says so, and an empty one what to do next', async () => {
  expect(textOf(await overview())).toContain('No agents yet.');
  await running('ada');
  await worker('1 second');
  expect(textOf(await needs())).toContain('All is well');
});

test('a stock-out: what waits says why at once, and after ten minutes it needs a person', async () => {
  await worker('1 second');
  const { operationId } = await order('ada');
  await sql`update operations set waits_for = 'Waiting for a server of plan pro in fsn1: cx32 is sold out', attempt = 1,
    run_after = now() + interval '4 minutes' where operation_id = ${operationId}`.execute(service.database);
  expect(textOf(await overview())).toMatch(
    /Provision of ada .* Waiting for a server of plan pro in fsn1: cx32 is sold out/,
  );
  expect(textOf(await needs())).toContain('All is well');
  await sql`update operations set created_at = now() - interval '11 minutes'`.execute(service.database);
  const text = textOf(await needs());
  expect(text).toContain('Its provision waits: Waiting for a server of plan pro in fsn1: cx32 is sold out');
  expect(text).toContain('name other server types or a higher price for the plan in BILLING_PLANS');
  expect(await needs()).toContain('href="/agents/ada#operation"');
});

test('a limit at Hetzner: one cause for all its agents, with its own cure, and a button that retries', async () => {
  await failed('ada', 'server limit exceeded (resource_limit_exceeded)', 'limit-reached');
  const one = await needs();
  expect(textOf(one)).toContain('Agent ada has failed');
  expect(textOf(one)).toContain('server limit exceeded (resource_limit_exceeded)');
  expect(textOf(one)).toContain(CURES_BY_CODE['limit-reached']);
  expect(textOf(one)).toContain('Retry provision of ada');
  const operationId =
    /action="\/agents\/ada\/retry"><input type="hidden" name="operationId" value="([^"]+)"/.exec(one)![1]!;
  for (const agentId of ['b1', 'b2'])
    await failed(agentId, `server limit exceeded (${agentId})`, 'limit-reached');
  const several = await needs();
  expect(textOf(several)).toMatch(/2 agents have failed .* server limit exceeded \(b[12]\)/);
  expect(several).toContain('href="/agents?status=failed"');

  const answer = await service.ask('/agents/ada/retry', {
    method: 'POST',
    body: new URLSearchParams({ operationId }),
  });
  expect(answer.headers.get('location')).toBe('/agents/ada');
  expect(await (await service.ask('/api/agents/ada/operations')).json()).toMatchObject({
    items: [{ kind: 'provision', status: 'queued' }],
  });
  expect(
    (await service.ask('/agents/ada/retry', { method: 'POST', body: new URLSearchParams({ operationId }) }))
      .status,
  ).toBe(409);
});

test('a revoked token: the check that fails comes first, and says that orders wait', async () => {
  await worker('1 second');
  await failed('ada', 'The server is gone', null);
  await sql`insert into checks (worker_id, name, ok, blocks, detail, cure)
    values ('w1', 'hetzner', false, true, 'GET /servers: 401 unauthorized', 'Set HCLOUD_TOKEN.')`.execute(
    service.database,
  );
  const text = textOf(await needs());
  expect(text).toMatch(
    /Orders are on hold until this is fixed: Hetzner .* GET \/servers: 401 unauthorized What to do: Set HCLOUD_TOKEN\. Agent ada has failed/,
  );
});

test('a dead worker: the queue says so at once, and what is overdue needs a person', async () => {
  await order('ada');
  expect(textOf(await overview())).toMatch(/1 Provision of ada .* No worker runs\./);
  await worker('3 minutes');
  await sql`update operations set run_after = now() - interval '2 minutes'`.execute(service.database);
  const text = textOf(await needs());
  expect(text).toMatch(
    /No worker runs .* 1 operation waits, and no worker runs: the last one was seen at \d{4}-/,
  );
  expect(text).toContain('npm start -- --role worker');
});

test('an operation that says nothing any more: where it stands, and two clicks cancel it', async () => {
  await worker('1 second');
  const { operationId } = await order('ada');
  await sql`update operations set status = 'active', attempt = 1, worker_id = 'w1', step = 'configuring', started_at = now(),
    lease_until = now() + interval '1 minute' where operation_id = ${operationId}`.execute(service.database);
  const silentFor = (minutes: number) =>
    sql`update operation_events set at = now() - make_interval(mins => ${minutes})`.execute(service.database);
  await silentFor(4);
  expect(textOf(await needs())).toContain('All is well');
  await silentFor(6);
  const markup = await needs();
  expect(textOf(markup)).toMatch(
    /An operation of agent ada does not move .* Its provision is under way and says nothing any more, in the step configuring\. .* press Cancel/,
  );
  // A snapshot of a large disk takes longer.
  await sql`update operations set kind = 'hibernate'`.execute(service.database);
  expect(textOf(await needs())).toContain('All is well');
  await sql`update operations set kind = 'provision'`.execute(service.database);

  const path = /href="(\/operations\/[^"]*\/cancel)"/.exec(markup)![1]!;
  expect(await (await service.ask(path)).text()).toContain('What it has made is deleted');
  const answer = await service.ask(path, { method: 'POST', body: new URLSearchParams() });
  expect([answer.status, answer.headers.get('location')]).toEqual([303, `/operations/${operationId}`]);
  expect(await (await service.ask(`/operations/${operationId}`)).text()).toContain(
    'Cancel the provision</a>',
  );
  await sql`update operations set status = 'cancelled', finished_at = now(), worker_id = null, lease_until = null`.execute(
    service.database,
  );
  expect(await (await service.ask(path)).text()).toContain('It is already cancelled.');
});

test('a tripped breaker: what is held back, why, and the way to its button', async () => {
  await running('ada');
  await sql`update breakers set tripped_at = now(), cause = 'The service destroys at most 5 agents within an hour.'
    where name = 'destroys'`.execute(service.database);
  await sql`insert into held_changes (agent_id, kind, breaker, actor, cause, since)
    values ('ada', 'destroy', 'destroys', 'service', 'It is not paid for.', now())`.execute(service.database);
  const markup = await needs();
  expect(textOf(markup)).toMatch(
    /Held back: agents destroyed within an hour The service destroys at most 5 agents within an hour\. 1 change waits for you\./,
  );
  expect(markup).toContain('href="/attention"');
});

test('an orphan: what the sweep has found, and what to do about it', async () => {
  await sql`insert into findings (source, key, class, cause, cure, since)
    values ('sweep', 'k', 'mismatch', 'Server 7 carries our labels, but its owner is unknown.', 'Delete it there.', now())`.execute(
    service.database,
  );
  expect(textOf(await needs())).toMatch(
    /The clouds and the records differ .* Server 7 carries our labels, but its owner is unknown\. What to do: Delete it there\./,
  );
});

test('causes that differ only in numbers or ids are one, and the largest of a class comes first', async () => {
  for (const agentId of ['ada', 'bob-2', 'cid-3'])
    await failed(agentId, `No device agent-${agentId} after 120 s`, null);
  await failed('d4', 'Something else', null);
  const groups = await listNeeds(service.database, 10);
  expect(groups.map(({ count, cause }) => [count, cause])).toEqual([
    [3, 'No device agent-cid-3 after 120 s'],
    [1, 'Something else'],
  ]);
  expect(groups[0]!.agentIds).toEqual(['cid-3', 'bob-2', 'ada']);
});

test('the fleet is counted, and each count leads to its list', async () => {
  for (const agentId of ['a', 'b', 'c']) await running(agentId);
  await sql`update agents set health = 'unhealthy', unhealthy_since = now() where agent_id = 'b'`.execute(
    service.database,
  );
  await sql`insert into holds (agent_id, reason, since, by_whom) values ('c', 'abuse', now(), 'operator'), ('c', 'payment', now(), 'service')`.execute(
    service.database,
  );
  const markup = await overview();
  const tile = (href: string) =>
    new RegExp(`<a class="tile" href="${href.replace('?', '\\?')}"><strong>(\\d+)</strong>`).exec(
      markup,
    )?.[1];
  expect(
    ['/agents?status=running', '/agents?health=unhealthy', '/agents?held=yes', '/agents?status=present'].map(
      tile,
    ),
  ).toEqual(['3', '1', '1', '3']);
});

test('provisions by the hour: counts, and seconds from the payment', async () => {
  const at = async (agentId: string, hoursAgo: number, seconds: number, status: 'succeeded' | 'failed') => {
    const { operationId } = await order(agentId);
    const ended = sql`date_trunc('hour', now()) - make_interval(hours => ${hoursAgo}) + interval '1 minute'`;
    await sql`insert into stripe_events (id, type, livemode, payload, outcome, created_at, received_at)
      values (${`evt_${agentId}`}, 't', false, '{}', 'acted', now(), ${ended} - make_interval(secs => ${seconds}))`.execute(
      service.database,
    );
    await sql`update operations set status = ${status}, error = ${status === 'failed' ? 'No <stock>' : null}, finished_at = ${ended},
      failed_step = ${status === 'failed' ? 'creating_server' : null},
      created_at = ${ended} - make_interval(secs => ${seconds / 2}), stripe_event_id = ${`evt_${agentId}`}
      where operation_id = ${operationId}`.execute(service.database);
  };
  await at('a', 1, 30, 'succeeded');
  await at('b', 1, 50, 'succeeded');
  await at('c', 2, 400, 'failed');
  await at('d', 30, 900, 'succeeded');
  const { hours, total } = await readProvisionFigures(service.database);
  expect(hours).toHaveLength(24);
  expect(hours.at(-2)).toMatchObject({ succeeded: 2, failed: 0, medianSeconds: 40, slowSeconds: 49 });
  expect(hours.at(-3)).toMatchObject({ succeeded: 0, failed: 1, medianSeconds: null });
  expect(total).toMatchObject({ succeeded: 2, failed: 1, medianSeconds: 40 });
  const text = textOf(await overview());
  expect(text).toContain('2 succeeded, 1 failed; most in an hour: 2');
  expect(text).toContain('Median 40 s (solid), 95th percentile 49 s (dashed).');
  expect(text).toContain('Provision, creating the server : No &lt;stock&gt;');
});

test('the queue: place, agent, and why each waits', async () => {
  await worker('1 second');
  for (const agentId of ['first', 'second']) await order(agentId);
  await running('busy');
  await service.ask('/api/agents/busy/restart', { method: 'POST' });
  await service.ask('/api/agents/busy/refresh', { method: 'POST' });
  const { operationId } = await order('retried');
  await sql`update operations set run_after = now() + interval '90 seconds', error = 'Hetzner did not answer', retry_count = 1
    where operation_id = ${operationId}`.execute(service.database);
  const queue = textOf(/<ol class="queue">[\s\S]*?<\/ol>/.exec(await overview())![0]);
  expect(queue.replaceAll(/\d+ s ago/g, 'now')).toBe(
    [
      '1 Provision of first now It is next.',
      '2 Provision of second now It is next.',
      '3 Restart of busy now It is next.',
      '– Refresh of busy now The restart of the same agent goes first.',
      '– Provision of retried now The next try is in 1 min. The last one failed: Hetzner did not answer',
    ].join(' '),
  );
});

test.each([
  [
    'some of several projects',
    { missingKeys: ['HCLOUD_TOKEN_US'], watched: { health: true, projects: swept({ eu: true, us: false }) } },
    'A Hetzner project is not monitored: us. Without HCLOUD_TOKEN_US, orphaned resources are not removed there.',
  ],
  [
    'every project',
    { missingKeys: ['HCLOUD_TOKEN'], watched: { health: true, projects: swept({ default: false }) } },
    'The clouds are not monitored. Without HCLOUD_TOKEN, orphaned resources are not removed.',
  ],
  [
    'everything',
    { missingKeys: ['TAILSCALE'], watched: { health: false, projects: swept({ eu: false, us: false }) } },
    'orphaned resources are not removed, and agents’ health is not checked between operations.',
  ],
])('says that %s is not monitored for want of keys', (_, given, words) => {
  expect(textOf(String(monitoringNotice(given)))).toContain(words);
});

function swept(projects: Record<string, boolean>) {
  return Object.entries(projects).map(([project, isSwept]) => ({ project, isSwept }));
}
