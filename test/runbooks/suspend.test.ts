import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { getAgent } from '../../src/agents/store.ts';
import { LostError, PermanentError, RetryableError } from '../../src/errors.ts';
import { reportedEffect } from '../../src/operations/effects.ts';
import { hold, release } from '../support/holds.ts';
import { type OperationsFixture, OUTPUTS, openOperations } from '../support/operations-fixture.ts';
import { attemptNext, runningAgent } from '../support/runbook-attempts.ts';
import { createRunbookFixture, type RunbookFixture } from '../support/runbook-fixture.ts';

let at: OperationsFixture;
let fixture: RunbookFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  fixture = createRunbookFixture(at);
  await runningAgent(at, fixture);
});

const agent = () => getAgent(at.database, 'a1');

/** @returns what the next attempt, which is of this kind, has called */
async function attempt(kind: 'suspend' | 'resume', { isLost = false } = {}): Promise<string[]> {
  const lost = isLost ? { lost: new LostError('The process of worker w1 is gone') } : {};
  const attempted = await attemptNext(at, fixture, lost);
  expect(attempted.kind).toBe(kind);
  return attempted.calls;
}

async function suspended(): Promise<void> {
  await hold(at, 'a1');
  await attempt('suspend');
  expect(await agent()).toMatchObject({ status: 'suspended' });
}

const error = new RetryableError('Hetzner answered 500');
const SUSPEND = ['step stopping_server', 'shut down 42', 'step refreshing', 'refresh agent'];
const RESUME = [
  'step starting_server',
  'power on 42',
  'step verifying',
  'healthy 100.64.0.1',
  'step refreshing',
  'refresh agent',
];

describe('suspend', () => {
  test('switches the server off and keeps everything', async () => {
    await hold(at, 'a1');
    expect(await attempt('suspend')).toEqual(SUSPEND);
    expect(await agent()).toMatchObject({
      status: 'suspended',
      health: 'unknown',
      server_id: '42',
      tailnet_ip: OUTPUTS.tailnetIp,
      error: null,
    });
    expect(fixture.servers.map(({ id, status }) => ({ id, status }))).toEqual([{ id: '42', status: 'off' }]);
  });

  test.each([
    ['shut down', 'shut down 42', SUSPEND],
    ['refresh agent', 'refresh agent', ['step stopping_server', 'step refreshing', 'refresh agent']],
  ] as const)(
    'a failure of %s stops there and leaves the agent running; the next attempt does the rest',
    async (key, last, rest) => {
      fixture.answers[key] = [error];
      await hold(at, 'a1');
      expect((await attempt('suspend')).at(-1)).toBe(last);
      expect((await agent()).status).toBe('running');
      expect(await attempt('suspend')).toEqual(rest);
      expect(await agent()).toMatchObject({ status: 'suspended', error: null });
    },
  );

  test('a system that does not shut down loses its power', async () => {
    fixture.deaf.add('42');
    fixture.deps.shutdownSeconds = 0;
    await hold(at, 'a1');
    expect(await attempt('suspend')).toContain('power off 42');
    expect((await agent()).status).toBe('suspended');
  });

  test('a server that is gone is an error that the agent shows', async () => {
    fixture.servers.length = 0;
    await hold(at, 'a1');
    await attempt('suspend');
    expect(await agent()).toMatchObject({
      status: 'running',
      error: expect.stringContaining('no longer at Hetzner'),
    });
  });
});

describe('resume', () => {
  test('switches the server on and waits for its answer at the old address', async () => {
    await suspended();
    await release(at, 'a1');
    expect(await attempt('resume')).toEqual(RESUME);
    expect(await agent()).toMatchObject({ status: 'running', health: 'healthy', server_id: '42' });
    expect(fixture.servers[0]?.status).toBe('running');
  });

  test.each([
    ['healthy', 'healthy 100.64.0.1'],
    ['refresh agent', 'refresh agent'],
  ] as const)(
    'a failure of %s stops there and leaves the agent suspended; the next attempt does the rest',
    async (key, last) => {
      await suspended();
      await release(at, 'a1');
      fixture.answers[key] = [error];
      expect((await attempt('resume')).at(-1)).toBe(last);
      expect((await agent()).status).toBe('suspended');
      expect(await attempt('resume')).toEqual(RESUME.filter((call) => call !== 'power on 42'));
      expect(await agent()).toMatchObject({ status: 'running', error: null });
    },
  );

  test('a failure that no repetition mends leaves the agent suspended with the reason', async () => {
    await suspended();
    await release(at, 'a1');
    fixture.answers.healthy = [new PermanentError('no answer, ever')];
    await attempt('resume');
    expect(await agent()).toMatchObject({ status: 'suspended', error: 'no answer, ever' });
    // Its server is on. A hold that comes now switches it off.
    await hold(at, 'a1');
    expect(await attempt('suspend')).toEqual(SUSPEND);
    expect(await agent()).toMatchObject({ status: 'suspended', error: null });
    expect(fixture.servers[0]?.status).toBe('off');
  });
});

test('an attempt whose worker dies before its commit is repeated, and finds everything done', async () => {
  await hold(at, 'a1');
  await attempt('suspend', { isLost: true });
  expect((await agent()).status).toBe('running');
  expect(await attempt('suspend')).toEqual(SUSPEND.filter((call) => call !== 'shut down 42'));
  expect((await agent()).status).toBe('suspended');
  await release(at, 'a1');
  await attempt('resume', { isLost: true });
  expect((await agent()).status).toBe('suspended');
  expect(await attempt('resume')).toEqual(RESUME.filter((call) => call !== 'power on 42'));
  expect((await agent()).status).toBe('running');
});

test('what a lost attempt left is undone if the holds have changed meanwhile', async () => {
  await hold(at, 'a1');
  await attempt('suspend', { isLost: true });
  await release(at, 'a1');
  expect(await attempt('resume')).toEqual(RESUME);
  await hold(at, 'a1');
  await attempt('suspend');
  await release(at, 'a1');
  await attempt('resume', { isLost: true });
  await hold(at, 'a1');
  expect(await attempt('suspend')).toEqual(SUSPEND);
  expect((await agent()).status).toBe('suspended');
  expect(fixture.servers[0]?.status).toBe('off');
});

test('a suspend that switched the server off and then failed is undone when the hold is released', async () => {
  fixture.answers['refresh agent'] = [error];
  await hold(at, 'a1');
  await attempt('suspend');
  expect(fixture.servers[0]?.status).toBe('off');
  await release(at, 'a1');
  expect(await attempt('resume')).toEqual(RESUME);
  expect(await agent()).toMatchObject({ status: 'running', health: 'healthy' });
  expect(fixture.servers[0]?.status).toBe('running');
});

test('a GitHub runner that only reports its success has the same effect', () => {
  for (const [kind, effect] of [
    ['suspend', 'suspended'],
    ['resume', 'resumed'],
  ] as const)
    expect(reportedEffect({ kind, agent_id: 'a1' }, {})).toEqual({ kind: effect });
});
