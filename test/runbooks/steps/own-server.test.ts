import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { jsonText } from '../../../src/database/storable.ts';
import { PermanentError } from '../../../src/errors.ts';
import type { Runbook } from '../../../src/operations/attempt.ts';
import { applyEffect } from '../../../src/operations/effects.ts';
import { destroy } from '../../../src/runbooks/destroy.ts';
import { refresh } from '../../../src/runbooks/refresh.ts';
import { restart } from '../../../src/runbooks/restart.ts';
import { start } from '../../../src/runbooks/start.ts';
import { findResources } from '../../../src/runbooks/steps/own-server.ts';
import { stop } from '../../../src/runbooks/stop.ts';
import { type OperationsFixture, openOperations, order } from '../../support/operations-fixture.ts';
import {
  createRunbookFixture,
  prepareAttempt,
  type RunbookFixture,
  server,
  sshKey,
} from '../../support/runbook-fixture.ts';

let at: OperationsFixture;
let fixture: RunbookFixture;
let operationId: string;
let made: Awaited<ReturnType<typeof prepareAttempt>>;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  fixture = createRunbookFixture(at);
  fixture.servers.push(server('a1', 4711));
  fixture.sshKeys.push(sshKey('a1', 8));
  fixture.firewalls.push({ id: 77, name: 'agents-default' });
  fixture.devices.push({
    nodeId: 'd1',
    name: 'agent-a1.tail.ts.net',
    hostname: 'agent-a1',
    addresses: ['100.64.0.1'],
    tags: ['tag:agent'],
  });
  const operation = await order(at, 'a1');
  operationId = operation.operation_id;
  await record('4711');
  await at.database.updateTable('agents').set({ status: 'running', tailnet_ip: '100.64.0.1' }).execute();
  made = await prepareAttempt(at, operation, fixture);
});

/** The row's data about its server. */
async function record(serverId: string | null) {
  const inputs = jsonText({ operationId, firewallId: 77, sshPublicKey: 'ssh-ed25519 MINE agent' });
  await at.database.updateTable('agents').set({ server_id: serverId, inputs }).execute();
}

const deps = () => ({ ...fixture.deps, shutdownSeconds: 0 });
const runbooks: Record<string, () => Runbook> = {
  start: () => start.run(deps()),
  stop: () => stop.run(deps()),
  restart: () => restart.run(deps()),
  refresh: () => refresh.run(deps()),
};
const all = () => ({ 'agent-id': 'a1', 'managed-by': 'agents', 'operation-id': operationId });

describe('a server whose labels were replaced', () => {
  test.each(
    Object.keys(runbooks).flatMap((kind) => [
      [kind, 'no agent’s'],
      [kind, 'another agent’s'],
    ]),
  )('is found by its id at a %s, and gets them back (%s)', async (kind, whose) => {
    const other = whose === 'no agent’s' ? {} : { 'agent-id': 'a2', 'managed-by': 'agents' };
    fixture.servers[0]!.labels = { backup: 'nightly', ...other };
    await runbooks[kind]!()(made.run);
    expect(fixture.servers[0]!.labels).toEqual({ backup: 'nightly', ...all() });
    expect(made.lines).toContain('agent-a1 (4711) had lost its labels: put back');
  });

  test('is found by its id even if it was renamed', async () => {
    Object.assign(fixture.servers[0]!, { name: 'renamed-by-hand', labels: {} });
    await runbooks.stop!()(made.run);
    expect(fixture.servers[0]!.status).toBe('off');
  });

  test('is destroyed with its agent, and its key is found by its public part', async () => {
    fixture.servers[0]!.labels = {};
    fixture.sshKeys[0] = { id: '8', name: 'agent-a1', labels: {}, publicKey: 'ssh-ed25519 MINE' };
    await destroy.run(fixture.deps)(made.run);
    expect([fixture.servers, fixture.sshKeys]).toEqual([[], []]);
  });
});

describe('a server that is not the agent’s', () => {
  test('but has its name is neither switched nor adopted, and no rebuild is suggested', async () => {
    made.run.agent.server_id = null;
    fixture.servers[0]!.labels = { owner: 'somebody' };
    const refused = runbooks.stop!()(made.run);
    await expect(refused).rejects.toBeInstanceOf(PermanentError);
    await expect(refused).rejects.toThrow(/^Server agent-a1 \(4711\) has the name .* it is left alone/);
    await expect(refused).rejects.not.toThrow('rebuild');
    await destroy.run(fixture.deps)(made.run);
    expect(fixture.servers).toHaveLength(1);
    expect(made.lines.join()).toContain("agent-a1 (4711) has this agent's name, labels or recorded id");
  });

  test('but has its labels survives the agent’s destroy', async () => {
    const shop = { ...server('a1', 50), name: 'shop', labels: all() };
    const b = { ...server('b', 51), labels: { ...all(), 'operation-id': 'of b' } };
    fixture.servers.push(shop, b);
    await destroy.run(fixture.deps)(made.run);
    expect(fixture.servers).toEqual([shop, b]);
  });

  test('but has its name and labels is left alone, even if the row has its id', async () => {
    fixture.servers.splice(0, 1, server('b', 4711));
    for (const kind of Object.keys(runbooks))
      await expect(runbooks[kind]!()(made.run)).rejects.toThrow('recorded as agent a1');
    await destroy.run(fixture.deps)(made.run);
    expect(fixture.servers).toHaveLength(1);
    expect(fixture.servers[0]).toMatchObject({ status: 'running', labels: { 'agent-id': 'b' } });
  });
});

test.each([
  ['its labels', () => ({ 'agent-id': 'a1', 'managed-by': 'agents' })],
  ['its provision', () => ({ 'operation-id': operationId, backup: 'nightly' })],
])('before its id is recorded, a server is found by its name and %s', async (_, labels) => {
  fixture.servers[0]!.labels = labels();
  const agent = { ...made.run.agent, server_id: null };
  expect(await findResources(fixture.deps.hetzner, agent)).toEqual({ serverId: '4711', sshKeyId: '8' });
  fixture.servers[0]!.name = 'another';
  expect(await findResources(fixture.deps.hetzner, agent)).toEqual({ sshKeyId: '8' });
});

test('an SSH key without labels is found by its public part, and is labelled again before its import', async () => {
  fixture.sshKeys[0] = { id: '8', name: 'agent-a1', labels: { team: 'x' }, publicKey: 'ssh-ed25519 MINE' };
  expect(await findResources(fixture.deps.hetzner, made.run.agent)).toMatchObject({ sshKeyId: '8' });
  expect(fixture.sshKeys[0]!.labels).toEqual({ team: 'x', ...all() });
  fixture.sshKeys[0] = { ...fixture.sshKeys[0]!, labels: {}, publicKey: 'ssh-ed25519 OTHER' };
  expect(await findResources(fixture.deps.hetzner, made.run.agent)).toEqual({ serverId: '4711' });
});

describe('a firewall that was removed by hand', () => {
  beforeEach(() => {
    fixture.servers[0]!.firewallIds = [];
  });

  test.each(Object.keys(runbooks))('is reattached by a %s, which logs it', async (kind) => {
    const effect = await runbooks[kind]!()(made.run);
    expect(fixture.servers[0]!.firewallIds).toEqual([77]);
    expect(made.lines).toContain('agent-a1 (4711) was not under the firewall 77: put back');
    if (kind === 'refresh') expect(effect).toMatchObject({ kind: 'refreshed', health: 'healthy' });
  });

  test('is reattached before the state is refreshed', async () => {
    await runbooks.refresh!()(made.run);
    expect(fixture.calls.filter((call) => !call.startsWith('step'))).toEqual([
      'label server 4711',
      'firewall 77 4711',
      'refresh agent',
    ]);
  });

  test('and deleted keeps a refresh from calling the agent healthy', async () => {
    fixture.firewalls.length = 0;
    const effect = await runbooks.refresh!()(made.run);
    const error = 'The firewall 77 is no longer at Hetzner: agent-a1 is without it';
    expect(effect).toEqual({ kind: 'unhealthy', error });
    await at.database
      .transaction()
      .execute((trx) =>
        applyEffect(trx, { kind: 'refresh', agent_id: 'a1', operation_id: operationId }, effect),
      );
  });
});
