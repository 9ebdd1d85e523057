import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { UsageError } from '../../src/cli/connection.ts';
import { startService, type TestService } from '../support/http-service.ts';
import { signIn } from '../support/people.ts';
import { createTestTerminal, runCommand } from '../support/run-command.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

let printed: string[];
beforeEach(() => {
  printed = [];
});
const agents = (...argv: string[]) =>
  runCommand(createTestTerminal(service.url, { print: (line) => printed.push(line) }).terminal, argv);
const said = () => printed.join('\n');

test('people are added, listed, given another role and removed', async () => {
  await agents('people');
  expect(said()).toContain('nobody yet');
  await agents('people', 'add', 'ada@example.com', '--role', 'support');
  expect(printed.at(-1)).toContain('ada@example.com is support.');
  await agents('people', 'add', 'bob', '--role', 'viewer', '--login', 'bob@github');
  await agents('people', 'role', 'ada@example.com', '--role', 'admin');
  expect(printed.at(-1)).toBe('ada@example.com is admin from now on.');
  printed = [];
  await agents('people', 'list');
  expect(said()).toMatch(/^ada@example.com +admin/m);
  expect(said()).toMatch(/^bob +viewer +bob@github/m);
  await agents('people', 'remove', 'bob');
  await expect(agents('people', 'remove', 'bob')).rejects.toThrow('There is nobody called bob');
  printed = [];
  await agents('people', '--json');
  expect(JSON.parse(said())).toMatchObject([
    { name: 'ada@example.com', role: 'admin', createdBy: 'operator' },
  ]);
});

test('a token is printed once, works, is listed without it, and is refused once revoked', async () => {
  await agents('people', 'add', 'cleo', '--role', 'viewer');
  await agents('tokens', 'create', 'cleo', '--label', 'laptop', '--days', '2');
  const token = printed.at(-2)!;
  expect(token).toMatch(/^agst_/);
  const asCleo = { authorization: `Bearer ${token}` };
  expect((await service.ask('/api/agents', { headers: asCleo })).status).toBe(200);
  printed = [];
  await agents('tokens');
  expect(said()).toMatch(/^[\da-f-]{36} +cleo +laptop +open/m);
  expect(said()).not.toContain(token);
  const [tokenId] = /^[\da-f-]{36}/m.exec(said())!;
  await agents('tokens', 'revoke', tokenId!);
  expect(printed.at(-1)).toBe('The token laptop of cleo is refused from now on.');
  expect((await service.ask('/api/agents', { headers: asCleo })).status).toBe(401);
});

test('sessions are listed and ended', async () => {
  await agents('people', 'add', 'dan', '--role', 'viewer');
  await agents('tokens', 'create', 'dan', '--label', 'page', '--json');
  const browser = await signIn(service, JSON.parse(said().slice(said().indexOf('{'))).token);
  printed = [];
  await agents('sessions');
  const [sessionId] = /^[\da-f-]{36}(?= +dan +token)/m.exec(said())!;
  await agents('sessions', 'end', sessionId!);
  expect(printed.at(-1)).toBe('The session of dan is over.');
  expect((await service.ask('/api/agents', { headers: browser })).status).toBe(401);
});

test.each([
  ['people', 'add', 'eve'],
  ['people', 'add'],
  ['people', 'list', 'eve'],
  ['people', 'list', '--role', 'admin'],
  ['people', 'remove', 'eve', '--login', 'x'],
  ['people', 'add', 'eve', '--role', 'owner'],
  ['tokens', 'create', 'eve'],
  ['tokens', 'create', 'eve', '--label', 'x', '--days', '367'],
  ['tokens', 'revoke'],
  ['tokens', 'list', '--label', 'x'],
  ['sessions', 'end'],
])('%s %s %s is not understood', async (...argv) => {
  await expect(agents(...argv.filter((word) => word !== undefined))).rejects.toThrow(UsageError);
});
