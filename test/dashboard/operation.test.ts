import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readTask } from '../../src/dashboard/operation/ansible-tasks.ts';
import { startService, type TestService } from '../support/http-service.ts';
import { finishProvision, log, step, tell } from '../support/operation-progress.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

let made = 0;
async function order(): Promise<{ agentId: string; operationId: string }> {
  made += 1;
  const response = await service.ask('/api/agents', {
    json: { agentId: `ada-${made}`, userId: 'u', region: 'eu-west' },
  });
  return (await response.json()) as { agentId: string; operationId: string };
}

const page = async (path: string) => {
  const response = await service.ask(path);
  return { status: response.status, markup: await response.text() };
};
const linesIn = (markup: string) => [...markup.matchAll(/id="L(\d+)"/g)].map(([, line]) => Number(line));

/** An operation whose log has so many lines of so many letters, besides its first event. */
async function longLog(lines: number, letters: number): Promise<string> {
  const { operationId } = await order();
  await sql`insert into operation_events (operation_id, sequence, attempt, type, data)
    select ${operationId}, n + 1, 1, 'log', jsonb_build_object('line', n || ' ' || repeat('<', ${letters}::int))
    from generate_series(1, ${lines}::int) n`.execute(service.database);
  return operationId;
}

test('a log of 50,000 lines comes in pages below 200 kB, and each line has an address', async () => {
  const operationId = await longLog(50_000, 100);
  const path = `/operations/${operationId}`;
  const { markup } = await page(path);
  expect(linesIn(markup).at(-1)).toBe(50_001);
  expect(Buffer.byteLength(markup)).toBeLessThan(200_000);
  const earlier = /href="([^"]*)">Earlier</.exec(markup)![1]!;
  const before = await page(earlier);
  expect(linesIn(before.markup).at(-1)).toBe(linesIn(markup)[0]! - 1);
  const there = await page(`${path}?line=25000`);
  expect(linesIn(there.markup)).toContain(25_000);
  expect(there.markup).toContain('class="entry info here" id="L25000"');
  expect(Buffer.byteLength(there.markup)).toBeLessThan(200_000);
  expect(linesIn((await page(`${path}?after=0`)).markup)[0]).toBe(1);
});

test('lines of the greatest length still leave a page below 200 kB', async () => {
  const operationId = await longLog(400, 3_900);
  for (const query of ['', '?line=200', '?after=0', '?q=3']) {
    const { markup } = await page(`/operations/${operationId}${query}`);
    expect(linesIn(markup).length).toBeGreaterThan(3);
    expect(Buffer.byteLength(markup)).toBeLessThan(200_000);
  }
});

test('a walk through the pages shows every line once', async () => {
  const operationId = await longLog(1_200, 20);
  const seen: number[] = [];
  for (let path = `/operations/${operationId}?after=0`; path !== ''; ) {
    const { markup } = await page(path);
    seen.push(...linesIn(markup));
    path = /href="([^"]*)">Later</.exec(markup)?.[1] ?? '';
  }
  expect(seen).toEqual(Array.from({ length: 1_201 }, (_, index) => index + 1));
});

test('the search shows lines with links to their places, and says when there is none', async () => {
  const { operationId } = await order();
  await tell(service.database, operationId, [
    step('creating_server'),
    log('creating server (Server)…'),
    log('error: <b>no</b> luck'),
  ]);
  const found = await page(`/operations/${operationId}?q=LUCK&level=error`);
  expect(found.markup).toContain('1 line matches');
  expect(found.markup).toContain(`href="/operations/${operationId}?line=4#L4"`);
  expect(found.markup).toContain('error: &lt;b&gt;no&lt;/b&gt; luck');
  expect((await page(`/operations/${operationId}?q=nothing-like-it`)).markup).toContain('No line matches');
  expect((await page(`/operations/${operationId}?q=%00&level=moon&line=x&before=-1`)).status).toBe(200);
});

test('Ansible’s tasks of a role are one section, with their time and what failed', async () => {
  const { operationId } = await order();
  await tell(service.database, operationId, [
    step('configuring'),
    log('base : Install packages: changed (3.2 s)'),
    log('base : Write the settings: ok (0.3 s)'),
    log('tailnet : Join: not yet, try 10 (12.0 s)'),
    log('tailnet : Join: failed (20.5 s)'),
    log('creating configuration (Command): failed'),
  ]);
  const { markup } = await page(`/operations/${operationId}`);
  expect([...markup.matchAll(/<summary>(Ansible.*?)<\/summary>/gs)].map(([, text]) => text)).toEqual([
    'Ansible, base: 2 tasks, 3.5 s',
    'Ansible, tailnet: 2 tasks, 21 s, <strong>1 failed</strong>',
  ]);
  expect(readTask('creating server (Server): done')).toBeUndefined();
});

test('the file has everything', async () => {
  const operationId = await longLog(2_500, 3);
  const response = await service.ask(`/operations/${operationId}/log.txt`);
  expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
  expect(response.headers.get('content-disposition')).toMatch(/^attachment; filename=ada-\d+-provision-/);
  const lines = (await response.text()).trimEnd().split('\n');
  expect(lines).toHaveLength(2_501);
  expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z \[0\] == status: queued$/);
  expect(lines.at(-1)).toMatch(/Z \[1\] 2500 <<<$/);
});

test('no line of the file is more than one, or anything that a terminal obeys', async () => {
  const { operationId } = await order();
  await tell(service.database, operationId, [
    log('one\n2030-01-01T00:00:00.000Z [1] == status: succeeded\u001b[2J'),
  ]);
  const text = await (await service.ask(`/operations/${operationId}/log.txt`)).text();
  expect(text.trimEnd().split('\n')).toHaveLength(2);
  expect(text).toContain('one\\u000a2030-01-01T00:00:00.000Z [1] == status: succeeded\\u001b[2J');
});

test.each(['after', 'before', 'line'])('a number behind the end is no error: %s', async (name) => {
  const operationId = await longLog(10, 3);
  const { status, markup } = await page(`/operations/${operationId}?${name}=2147483647`);
  expect(status).toBe(200);
  if (name === 'after') expect(linesIn(markup).at(-1)).toBe(11);
});

test('the timeline says who asked, how often it was tried and why tries failed', async () => {
  const { agentId, operationId } = await order();
  await tell(service.database, operationId, [step('creating_server'), step('waiting_to_retry')]);
  await tell(service.database, operationId, [
    {
      type: 'status',
      data: { status: 'queued', attempt: 1, error: 'other side closed', failedStep: 'creating_server' },
    },
  ]);
  await sql`update operations set attempt = 1, retry_count = 1 where operation_id = ${operationId}`.execute(
    service.database,
  );
  await finishProvision(service.database, { agentId, operationId });
  const { markup } = await page(`/operations/${operationId}`);
  expect(markup).toContain('1 try, 1 failed, asked for by operator');
  expect(markup).toMatch(/<strong>Try 1: creating the server<\/strong>[\s\S]*other side closed/);
  expect(markup).toContain('<rect class="bad" fill="url(#hatch-bad)"');
  expect(markup).toMatch(/<caption[^>]*>Steps in order<\/caption>/);
  expect((await page('/operations/none')).status).toBe(404);
  expect((await page('/operations/00000000-0000-4000-8000-000000000000')).status).toBe(404);
});
