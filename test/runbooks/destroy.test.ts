import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { AgentStatus } from '../../src/agents/states.ts';
import { getAgent } from '../../src/agents/store.ts';
import { jsonText } from '../../src/database/storable.ts';
import { PermanentError, RetryableError } from '../../src/errors.ts';
import { applyEffect } from '../../src/operations/effects.ts';
import { settleFailure } from '../../src/operations/settle.ts';
import { StackLockedError } from '../../src/pulumi/errors.ts';
import { StateKeyError } from '../../src/pulumi/state-key-error.ts';
import { destroy } from '../../src/runbooks/destroy.ts';
import { refresh } from '../../src/runbooks/refresh.ts';
import { rollback } from '../../src/runbooks/rollback.ts';
import { removeDevices } from '../../src/runbooks/steps/recovery.ts';
import { ask, claim, type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';
import {
  createRunbookFixture,
  prepareAttempt,
  type RunbookFixture,
  server,
  sshKey,
} from '../support/runbook-fixture.ts';

const NO_OPERATION = '00000000-0000-4000-8000-000000000000';
let at: OperationsFixture;
let fixture: RunbookFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  fixture = createRunbookFixture(at);
});

async function destroying() {
  await order(at, 'a1');
  await ask(at, 'a1', 'destroy');
  const { row } = await claim(at);
  return prepareAttempt(at, row, fixture);
}

test('deletes the stack, resources missing from it, the device and the state, then verifies', async () => {
  await order(at, 'a1');
  const inputs = { agentId: 'a1', keyGeneration: 3 };
  await at.database
    .updateTable('agents')
    .set({ inputs: jsonText(inputs) })
    .execute();
  await ask(at, 'a1', 'destroy');
  const { run } = await prepareAttempt(at, (await claim(at)).row, fixture);
  fixture.servers.push(server('a1', 42), server('a10', 43));
  fixture.sshKeys.push(sshKey('a1', 7));
  const hostname = fixture.vault.joinName('a1', 2);
  fixture.devices.push({ nodeId: 'd1', name: 'x', hostname, addresses: [], tags: ['tag:agent'] });
  fixture.tailnetKeys.push({ id: 'k1', description: 'agent-a1 3' });
  const effect = await destroy.run(fixture.deps)(run);
  expect(fixture.calls).toEqual([
    'step deleting_resources',
    'destroy agent',
    'step removing_device',
    'delete server 42',
    'delete ssh key 7',
    'delete device d1',
    'delete key k1',
    'step removing_state',
    'forget agent-a1',
    'step verifying',
  ]);
  expect(fixture.servers.map((one) => one.id)).toEqual(['43']);
  expect(effect).toEqual({
    kind: 'destroyed',
    evidence: {
      removed: [
        { cloud: 'hetzner', kind: 'server', id: '42', name: 'agent-a1' },
        { cloud: 'hetzner', kind: 'ssh-key', id: '7', name: 'agent-a1' },
        { cloud: 'tailscale', kind: 'device', id: 'd1', name: 'x' },
      ],
      attempt: 1,
      gone: { hetzner: expect.any(String), tailscale: expect.any(String) },
    },
  });
  await at.database
    .transaction()
    .execute((trx) =>
      applyEffect(trx, { kind: 'destroy', agent_id: 'a1', operation_id: NO_OPERATION }, effect),
    );
  expect((await getAgent(at.database, 'a1')).status).toBe('destroyed');
});

test.each(['destroy', 'rollback'] as const)(
  'a %s waits some attempts for a key that cannot be used, then removes everything without the state',
  async (kind) => {
    await order(at, 'a1');
    await ask(at, 'a1', 'destroy');
    const { run: claimed } = await prepareAttempt(at, (await claim(at)).row, fixture);
    const lines: string[] = [];
    const run = { ...claimed, log: (line: string) => void lines.push(line) };
    if (kind === 'rollback') run.agent = { ...run.agent, status: 'failed' };
    const runbook = { destroy, rollback }[kind].run(fixture.deps);
    const attempt = (number: number) => {
      fixture.answers['destroy agent'] = [new StateKeyError('The key is disabled.')];
      return runbook({ ...run, operation: { ...run.operation, attempt: number } });
    };
    fixture.servers.push(server('a1', 42));
    fixture.sshKeys.push(sshKey('a1', 7));
    fixture.tailnetKeys.push({ id: 'k1', description: 'agent-a1 1' });
    for (const number of [1, 2, 3]) await expect(attempt(number)).rejects.toThrow(StateKeyError);
    expect(fixture.servers).toHaveLength(1);
    const effect = await attempt(4);
    expect([...fixture.servers, ...fixture.sshKeys, ...fixture.tailnetKeys]).toEqual([]);
    expect(fixture.calls).toContain('forget agent-a1');
    expect(lines).toContainEqual(
      expect.stringMatching(/^warning: the state of agent-a1 cannot be opened.*The key is disabled\.$/),
    );
    if (kind === 'rollback') expect(effect).toEqual({ kind: 'rolled-back' });
    else
      expect(effect).toMatchObject({
        kind: 'destroyed',
        evidence: { attempt: 4, removed: [{ id: '42' }, { id: '7' }] },
      });
  },
);

test('any other failure of the stack keeps its clouds’ resources, however often', async () => {
  const { run } = await destroying();
  fixture.servers.push(server('a1', 42));
  fixture.answers['destroy agent'] = [new RetryableError('500')];
  const late = { ...run, operation: { ...run.operation, attempt: 9 } };
  await expect(destroy.run(fixture.deps)(late)).rejects.toThrow('500');
  expect(fixture.servers).toHaveLength(1);
});

test('who confirms it reads that a server which is still being adopted is given back', () => {
  expect(destroy.confirm?.loses).toMatch(/still adopting is given back/);
  expect(destroy.confirm?.explain('a1')).toMatch(/adoption is not complete is its owner’s: it is given back/);
});

test('a cloud that is away before the removal is named in the receipt, and servers are deleted', async () => {
  const { run } = await destroying();
  fixture.servers.push(server('a1', 42));
  const { listDevices } = fixture.deps.tailscale;
  fixture.deps.tailscale.listDevices = async () => {
    fixture.deps.tailscale.listDevices = listDevices;
    throw new RetryableError('503');
  };
  const effect = await destroy.run(fixture.deps)(run);
  const removed = [{ kind: 'server', id: '42' }];
  expect(effect).toMatchObject({ evidence: { removed, unlisted: ['tailscale'] } });
  expect(fixture.servers).toEqual([]);
});

test('the receipt says which attempt has listed: an earlier one may have removed more', async () => {
  const { run } = await destroying();
  fixture.servers.push(server('a1', 42));
  const second = { ...run, operation: { ...run.operation, attempt: 2 } };
  fixture.answers.forget = [new RetryableError('503')];
  await expect(destroy.run(fixture.deps)(run)).rejects.toThrow('503');
  expect(await destroy.run(fixture.deps)(second)).toMatchObject({ evidence: { removed: [], attempt: 2 } });
});

test('a row with an endless number of key generations does not keep a worker busy', async () => {
  const { run } = await destroying();
  const agent = { ...run.agent, inputs: { agentId: 'a1', keyGeneration: 5_000 } };
  let asked = 0;
  const joinNames = (id: string, generation: number) => {
    asked += 1;
    return fixture.vault.joinNames(id, generation);
  };
  const hostname = fixture.vault.joinName('a1', 5_000);
  fixture.devices.push({ nodeId: 'd1', name: 'x', hostname, addresses: [], tags: ['tag:agent'] });
  await removeDevices({ ...fixture.deps, vault: { joinNames } }, { ...run, agent });
  expect(fixture.devices).toEqual([]);
  expect(asked).toBe(1_000);
});

test('someone else’s server with another agent’s label is not touched', async () => {
  const { run } = await destroying();
  fixture.servers.push({ ...server('a1', 42), labels: { 'agent-id': 'a1' } });
  await destroy.run(fixture.deps)(run);
  expect(fixture.servers).toHaveLength(1);
});

test('a resource that still exists after the delete is a failure that names it', async () => {
  const { run } = await destroying();
  fixture.servers.push(server('a1', 42));
  fixture.deps.hetzner.deleteServer = async () => {};
  await expect(destroy.run(fixture.deps)(run)).rejects.toThrow(
    'Still there after the delete: server agent-a1',
  );
});

test.each([
  ['destroy agent', ['step deleting_resources', 'destroy agent']],
  [
    'forget',
    [
      'step deleting_resources',
      'destroy agent',
      'step removing_device',
      'step removing_state',
      'forget agent-a1',
    ],
  ],
] as const)('a failure of %s stops there: no billed resource is forgotten', async (where, calls) => {
  const error = new RetryableError('500');
  fixture.answers[where] = [error];
  const { run } = await destroying();
  await expect(destroy.run(fixture.deps)(run)).rejects.toBe(error);
  expect(fixture.calls).toEqual(calls);
});

test('a stale lock is removed', async () => {
  fixture.answers['destroy agent'] = [new StackLockedError('locked')];
  const { run } = await destroying();
  await destroy.run(fixture.deps)(run);
  expect(fixture.calls.slice(1, 4)).toEqual(['destroy agent', 'unlock agent', 'destroy agent']);
});

test('a destroy works for an agent that was never provisioned', async () => {
  const { run } = await destroying();
  expect(run.agent.inputs).toBeNull();
  await destroy.run(fixture.deps)(run);
  expect(fixture.calls).toContain('destroy agent');
});

async function rollingBack() {
  await order(at, 'a1');
  const first = await claim(at);
  await settleFailure(at, first.claim, { error: new PermanentError('401'), step: 'creating_server' });
  const { row } = await claim(at);
  expect(row.kind).toBe('rollback');
  return row;
}

test('a rollback frees everything and leaves the agent failed with the reason', async () => {
  const row = await rollingBack();
  await at.database.updateTable('agents').set({ server_id: '42' }).execute();
  const effect = await rollback.run(fixture.deps)((await prepareAttempt(at, row, fixture)).run);
  expect(fixture.calls).toContain('destroy agent');
  await at.database
    .transaction()
    .execute((trx) =>
      applyEffect(trx, { kind: 'rollback', agent_id: 'a1', operation_id: NO_OPERATION }, effect),
    );
  expect(await getAgent(at.database, 'a1')).toMatchObject({
    status: 'failed',
    error: '401',
    server_id: null,
  });
});

test.each(['provisioning', 'destroying'] as const)(
  'a rollback of a %s agent touches nothing',
  async (status) => {
    const row = await rollingBack();
    await at.database.updateTable('agents').set({ status }).execute();
    const effect = await rollback.run(fixture.deps)((await prepareAttempt(at, row, fixture)).run);
    await at.database
      .transaction()
      .execute((trx) =>
        applyEffect(trx, { kind: 'rollback', agent_id: 'a1', operation_id: NO_OPERATION }, effect),
      );
    expect(fixture.calls).toEqual([]);
    expect((await getAgent(at.database, 'a1')).status).toBe(status);
  },
);

const device = {
  nodeId: 'd1',
  name: 'agent-a1.tail.ts.net',
  hostname: 'agent-a1',
  addresses: ['100.64.0.1'],
  tags: ['tag:agent'],
};

async function refreshing(health = true, status: AgentStatus = 'running') {
  await order(at, 'a1');
  await at.database
    .updateTable('agents')
    .set({ status, server_id: '42', tailnet_ip: '100.64.0.1', tailnet_node_id: 'd1', health: 'unknown' })
    .execute();
  await at.database.updateTable('operations').set({ status: 'cancelled', finished_at: new Date() }).execute();
  await ask(at, 'a1', 'refresh');
  const { row } = await claim(at);
  const deps = { ...fixture.deps, health: { ...fixture.deps.health, isHealthy: async () => health } };
  const effect = await refresh.run(deps)((await prepareAttempt(at, row, fixture)).run);
  await at.database
    .transaction()
    .execute((trx) =>
      applyEffect(trx, { kind: 'refresh', agent_id: 'a1', operation_id: NO_OPERATION }, effect),
    );
  return getAgent(at.database, 'a1');
}

test('a refresh records the current addresses and whether the agent answers', async () => {
  fixture.servers.push(server('a1', 42));
  const addresses = ['fd7a::1', '100.64.0.9'];
  fixture.devices.push({
    nodeId: 'd1',
    name: 'new.tail.ts.net',
    hostname: 'agent-a1',
    addresses,
    tags: ['tag:agent'],
  });
  expect(await refreshing()).toMatchObject({
    status: 'running',
    health: 'healthy',
    ipv4: '192.0.2.1',
    tailnet_ip: '100.64.0.9',
    tailnet_name: 'agent-a1.tail.ts.net',
    tailnet_node_id: 'd1',
  });
});

test('a refresh of an agent with one public address records no empty second one', async () => {
  const made = server('a1', 42);
  made.ipv4 = null;
  fixture.servers.push(made);
  fixture.devices.push(device);
  expect(await refreshing()).toMatchObject({ health: 'healthy', ipv4: null, ipv6: null });
});

test('a refresh without a healthy answer records unhealthy', async () => {
  fixture.servers.push(server('a1', 42));
  fixture.devices.push(device);
  expect((await refreshing(false)).health).toBe('unhealthy');
});

test('a refresh expects no answer from an agent that is switched off', async () => {
  fixture.servers.push({ ...server('a1', 42), status: 'off' });
  fixture.devices.push(device);
  expect(await refreshing(false, 'stopped')).toMatchObject({ status: 'stopped', health: 'unknown' });
});

test('a refresh finds a server that was deleted by hand, and one that left the tailnet', async () => {
  expect(await refreshing()).toMatchObject({
    status: 'running',
    health: 'unhealthy',
    error: 'The server is no longer at Hetzner',
  });
  await at.empty();
  fixture.servers.push(server('a1', 42));
  expect(await refreshing()).toMatchObject({
    health: 'unhealthy',
    error: 'The server is no longer on the tailnet; a rebuild lets it in again',
  });
});
