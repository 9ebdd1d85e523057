import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { followOnTerminal } from '../../../src/app/terminal/follow.ts';
import { PermanentError, RetryableError } from '../../../src/errors.ts';
import { recordEvents } from '../../../src/operations/claims.ts';
import { createEventHub, type EventHub } from '../../../src/operations/events/event-hub.ts';
import { settleFailure, succeed } from '../../../src/operations/settle.ts';
import { Secret } from '../../../src/secret.ts';
import {
  claim,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  order,
  waitOver,
} from '../../support/operations-fixture.ts';

let at: OperationsFixture;
let events: EventHub;
let said: string[];
let stop = () => {};
beforeAll(async () => {
  at = await openOperations();
  events = createEventHub({ url: new Secret(at.url), log: at.log });
  await new Promise<void>((resolve) => {
    const off = events.subscribe('*', () => {
      off();
      resolve();
    });
  });
});
afterAll(async () => {
  stop();
  await events.close();
  await at.close();
});
beforeEach(async () => {
  stop();
  await at.empty();
  const lines: string[] = [];
  said = lines;
  stop = followOnTerminal({ database: at.database, events, say: (line) => lines.push(line) });
});

async function untilSaid(pattern: RegExp): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!said.some((line) => pattern.test(line))) {
    if (Date.now() > deadline) throw new Error(`Never said ${pattern}: ${said.join('\n')}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('prints every step with its time, and the end', async () => {
  await order(at, 'a1');
  const { claim: mine } = await claim(at);
  for (const step of ['creating_server', 'configuring'])
    await recordEvents(at.database, mine, [{ type: 'step', data: { step } }]);
  await succeed(at, mine, { kind: 'running', outputs: OUTPUTS });
  await untilSaid(/SUCCEEDED/);
  expect(said.map((line) => line.replace(/\d+\.\d s/, 'T'))).toEqual([
    '  a1  provision  started',
    '  a1  provision  creating_server T',
    '  a1  provision  configuring T',
    '  a1  provision  SUCCEEDED after T',
  ]);
});

test('prints why and where a try failed, the next attempt and the end', async () => {
  await order(at, 'a1');
  const first = await claim(at);
  await settleFailure(at, first.claim, { error: new RetryableError('no answer'), step: 'creating_server' });
  await waitOver(at);
  const second = await claim(at);
  await settleFailure(at, second.claim, { error: new PermanentError('401'), step: 'creating_server' });
  await untilSaid(/FAILED/);
  expect(said).toContain('  a1  provision  failed, will retry (creating_server): no answer');
  expect(said).toContain('  a1  provision  started, attempt 2');
  expect(said.find((line) => line.includes('FAILED'))).toMatch(/\(creating_server\): 401$/);
});

test('no error can move the cursor or imitate one of our lines', async () => {
  await order(at, 'a1');
  const { claim: mine } = await claim(at);
  const error = new PermanentError('no\u001b[2J\u009b2J\u202e\n  a1  provision  SUCCEEDED after 1.0 s');
  await settleFailure(at, mine, { error, step: 'creating_server' });
  await untilSaid(/FAILED/);
  const text = said.join('\n');
  expect(text).not.toMatch(/(?!\n)[\p{Cc}\u202e]/u);
  expect(text).toContain('no\\u001b[2J\\u009b2J\\u202e\n      |   a1  provision  SUCCEEDED');
  expect(text).not.toMatch(/^ {2}a1 {2}provision {2}SUCCEEDED/m);
});

test('more lines than one read returns do not hide the end', async () => {
  await order(at, 'a1');
  const { claim: mine } = await claim(at);
  const lines = Array.from({ length: 1_200 }, () => ({ type: 'log' as const, data: { line: 'x' } }));
  await recordEvents(at.database, mine, lines);
  await succeed(at, mine, { kind: 'running', outputs: OUTPUTS });
  await untilSaid(/SUCCEEDED/);
});
