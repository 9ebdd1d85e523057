import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { API_TOKEN, startService, type TestService } from '../support/http-service.ts';
import { createTestTerminal, runCommand, understand } from '../support/run-command.ts';
import { deliver, paidCheckout } from '../support/stripe-events.ts';

/** The page and the commands over the same tripped breaker. */
let service: TestService;
beforeAll(async () => {
  service = await startService();
  await sql`update breakers set limit_count = 1 where name = 'creates'`.execute(service.database);
});
afterAll(() => service.stop());

const page = async (path: string) => (await service.ask(path)).text();
const submit = (path: string, fields: Record<string, string>) =>
  service.ask(path, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${API_TOKEN}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams(fields).toString(),
  });

async function agents(...args: string[]): Promise<string> {
  const { terminal, printed } = createTestTerminal(service.url);
  await runCommand(terminal, args);
  return printed.join('\n');
}

test('nothing needs anybody: no banner, and the commands say so', async () => {
  expect(await page('/')).not.toContain('Held back');
  expect(await page('/attention')).toContain('Nothing needs you.');
  expect(await agents('attention')).toBe('Nothing needs you.');
  expect(await agents('breakers')).toMatch(/^creates +closed +0 +1 +0 +0 +Agents created within an hour$/m);
});

test('a tripped breaker is a banner on the list, and the page says what to press', async () => {
  for (const agentId of ['b1', 'b2', 'b3', 'b4', 'b5'])
    await deliver(service.url, paidCheckout({ agentId, userId: 'u<1>' }));
  const list = await page('/');
  expect(list).toContain('Held back: agents created within an hour');
  expect(list).toContain('4 changes wait for you.');
  expect(list).toContain('<a href="/attention">Look at what waits, then press Approve there</a>');
  const attention = await page('/attention');
  expect(attention).toContain('action="/attention/breakers/creates/approve"');
  expect(attention).toMatch(/<a href="\/agents\/b2">b2<\/a><\/th>\s*<td data-label="Change">provision/);
  expect(attention).toMatch(/<th scope="row">Breaker<\/th>/);

  expect(await agents('breakers')).toMatch(/^creates +tripped +1 +1 +4 +0/m);
  expect(await agents('breakers', 'creates')).toMatch(
    /^b2 +provision +\S+ +no +A customer has paid for it\.$/m,
  );
  expect(await agents('attention')).toMatch(
    /^breaker .*\n {2}The service creates at most 1 .*\n {2}→ Paid orders/,
  );
  expect(JSON.parse(await agents('attention', '--json'))).toMatchObject([
    { class: 'breaker', agentId: null },
  ]);
});

test('what a program proposes is on the page and printed, and not among the API’s classes', async () => {
  const proposed = await service.ask('/api/proposals', {
    json: { agentId: 'b1', kind: 'destroy', reason: 'it mines' },
  });
  expect(proposed.status).toBe(201);
  expect(await page('/attention')).toMatch(/<th scope="row">Proposal <a class="below" href="\/agents\/b1">/);
  expect(await agents('attention')).toMatch(
    /^proposal {2}b1 {2}since .*\n {2}operator proposes to destroy it: it mines/m,
  );
  const asJson = await agents('attention', '--json');
  expect(JSON.parse(asJson).map((item: { class: string }) => item.class)).toEqual(['breaker']);
  await sql`delete from proposals`.execute(service.database);
});

test('an approval by form or command', async () => {
  const wrong = await submit('/attention/breakers/creates/approve', { count: 'many' });
  expect(wrong.status).toBe(400);
  expect((await submit('/attention/breakers/everything/approve', {})).status).toBe(404);
  const approved = await submit('/attention/breakers/creates/approve', { count: '1' });
  expect(approved.status).toBe(303);
  expect(approved.headers.get('location')).toBe('/attention');
  expect(await page('/attention')).toContain('1 of them are approved and go at the allowed rate');

  expect(await agents('approve', 'creates', '--count', '2')).toBe(
    'creates: 3 of 4 that wait are approved, and go at the allowed rate',
  );
  expect((await submit('/attention/breakers/creates/approve', { count: '' })).status).toBe(303);
  expect(await page('/')).toContain('What you approved goes at the allowed rate.');
  await expect(agents('approve', 'destroys')).rejects.toThrow('The breaker destroys is not tripped');
  await sql`delete from held_changes`.execute(service.database);
  expect(await agents('approve', 'creates', '--json')).toContain('"tripped": false');
});

test.each([
  [['approve'], 'too few arguments'],
  [['approve', 'creates', '--count', '0'], 'greater than or equal to 1'],
  [['approve', 'creates', 'destroys'], 'Unexpected option or argument: destroys'],
  [['breakers', 'creates', 'destroys'], 'Unexpected option or argument: destroys'],
  [['attention', 'now'], 'Unexpected option or argument: now'],
])('agents %j is refused', async (args, message) => {
  await expect(understand(...args)).rejects.toThrow(message);
});
