import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PermanentError, RetryableError } from '../../../src/errors.ts';
import type { Runbook } from '../../../src/operations/attempt.ts';
import { restart } from '../../../src/runbooks/restart.ts';
import { start } from '../../../src/runbooks/start.ts';
import { stop } from '../../../src/runbooks/stop.ts';
import { type OperationsFixture, openOperations, order } from '../../support/operations-fixture.ts';
import {
  createRunbookFixture,
  prepareAttempt,
  type RunbookFixture,
  server,
} from '../../support/runbook-fixture.ts';

let at: OperationsFixture;
let fixture: RunbookFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  fixture = createRunbookFixture(at);
  fixture.servers.push(server('a1', 4711));
  fixture.devices.push({
    nodeId: 'd1',
    name: 'agent-a1.tail.ts.net',
    hostname: 'agent-a1',
    addresses: ['fd7a::1', '100.64.0.1'],
    tags: ['tag:agent'],
  });
});

/** Records the agent's device in its row. */
async function recordDevice() {
  const device = { tailnet_ip: '100.64.0.1', tailnet_node_id: 'd1' };
  await at.database.updateTable('agents').set(device).execute();
}

async function follow(runbook: Runbook) {
  const operation = await order(at, 'a1');
  await recordDevice();
  const made = await prepareAttempt(at, operation, fixture);
  return { ...made, effect: await runbook(made.run) };
}
const deps = () => ({ ...fixture.deps, shutdownSeconds: 0 });
const off = () => {
  fixture.servers[0]!.status = 'off';
};

describe('stop', () => {
  test('shuts the system down and refreshes Pulumi’s state', async () => {
    const { effect } = await follow(stop.run(deps()));
    expect(fixture.calls).toEqual([
      'step stopping_server',
      'shut down 4711',
      'step refreshing',
      'refresh agent',
    ]);
    expect(effect).toEqual({ kind: 'stopped' });
  });

  test('cuts the power of a system that ignores the shutdown', async () => {
    fixture.deaf.add('4711');
    const { lines } = await follow(stop.run(deps()));
    expect(fixture.calls.slice(0, 3)).toEqual(['step stopping_server', 'shut down 4711', 'power off 4711']);
    expect(lines.join()).toContain('has not shut down within 0 s: cutting its power');
    expect(fixture.servers[0]!.status).toBe('off');
  });

  test('of a server that is off requests nothing', async () => {
    off();
    await follow(stop.run(deps()));
    expect(fixture.calls).toEqual(['step stopping_server', 'step refreshing', 'refresh agent']);
  });

  test('leaves a server alone once the lease has expired: another attempt may have begun', async () => {
    const { run } = await prepareAttempt(at, await order(at, 'a1'), fixture);
    run.lease.renew(Date.now() - 1);
    await expect(stop.run(deps())(run)).rejects.toThrow('The lease ran out');
    expect(fixture.calls).toEqual(['step stopping_server']);
  });
});

describe('start', () => {
  test('switches on, waits for an answer at the known address, and refreshes Pulumi’s state', async () => {
    off();
    const { effect } = await follow(start.run(deps()));
    expect(fixture.calls).toEqual([
      'step starting_server',
      'power on 4711',
      'step verifying',
      'healthy 100.64.0.1',
      'step refreshing',
      'refresh agent',
    ]);
    expect(effect).toEqual({ kind: 'started' });
  });

  test('after a kill finds the server on and waits for its answer', async () => {
    await follow(start.run(deps()));
    expect(fixture.calls).not.toContain('power on 4711');
    expect(fixture.calls).toContain('healthy 100.64.0.1');
  });

  test('fails without a healthy answer', async () => {
    off();
    fixture.answers.healthy = [new RetryableError('No healthy answer')];
    await expect(follow(start.run(deps()))).rejects.toThrow('No healthy answer');
  });

  test('gives up at once if only a rebuild can help', async () => {
    fixture.devices.length = 0;
    await expect(follow(start.run(deps()))).rejects.toThrow(PermanentError);
    await at.empty();
    fixture.servers.length = 0;
    await expect(follow(start.run(deps()))).rejects.toThrow('The server is no longer at Hetzner');
    expect(fixture.calls).not.toContain('power on 4711');
  });
});

describe('restart', () => {
  test('switches off, on again, and waits for a healthy answer', async () => {
    const { effect } = await follow(restart.run(deps()));
    expect(fixture.calls).toEqual([
      'step stopping_server',
      'shut down 4711',
      'step starting_server',
      'power on 4711',
      'step verifying',
      'healthy 100.64.0.1',
    ]);
    expect(effect).toEqual({ kind: 'restarted' });
  });

  test('continues after a kill between off and on', async () => {
    off();
    await follow(restart.run(deps()));
    expect(fixture.calls).toContain('power on 4711');
    expect(fixture.calls).not.toContain('shut down 4711');
  });
});
