import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { completeInputs } from '../../src/agents/inputs.ts';
import { createVault } from '../../src/agents/secrets.ts';
import { getAgent } from '../../src/agents/store.ts';
import { PermanentError, RetryableError, ShortageError } from '../../src/errors.ts';
import { ActionFailedError, LockedError, ProtectedError } from '../../src/hetzner/refusals.ts';
import { HttpError } from '../../src/http-client/request.ts';
import { settleFailure, succeed } from '../../src/operations/settle.ts';
import { StackNotFoundError } from '../../src/pulumi/errors.ts';
import { provision } from '../../src/runbooks/provision.ts';
import { rebuild } from '../../src/runbooks/rebuild.ts';
import { reconfigure } from '../../src/runbooks/reconfigure.ts';
import { resize } from '../../src/runbooks/resize.ts';
import { Secret } from '../../src/secret.ts';
import type { AgentProgram } from '../../stacks/program.ts';
import {
  ask,
  claim,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  order,
  waitOver,
} from '../support/operations-fixture.ts';
import {
  createRunbookFixture,
  prepareAttempt,
  type RunbookFixture,
  server,
  sshKey,
} from '../support/runbook-fixture.ts';

let at: OperationsFixture;
let fixture: RunbookFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  fixture = createRunbookFixture(at);
  await provisioned();
});

const device = {
  nodeId: 'd1',
  name: 'agent-a1.tail.ts.net',
  hostname: 'agent-a1',
  addresses: ['100.64.0.1'],
  tags: ['tag:agent'],
};

/** A running agent as its provision leaves it. */
async function provisioned(): Promise<void> {
  await order(at, 'a1');
  const { row, claim: mine } = await claim(at);
  await provision.run(fixture.deps)((await prepareAttempt(at, row)).run);
  const outputs = { ...OUTPUTS, serverId: '4711', tailnetNodeId: 'd1' };
  await succeed(at, mine, { kind: 'running', outputs });
  fixture.devices.length = 0;
  const made = server('a1', 4711);
  made.labels['operation-id'] = row.operation_id;
  fixture.servers.push(made);
  fixture.sshKeys.push(sshKey('a1', 8));
  fixture.devices.push({ ...device });
  fixture.tailnetKeys.push({ id: 'k1', description: 'agent-a1 1' });
  clear();
}

function clear(): void {
  fixture.calls.length = 0;
  fixture.programs.length = 0;
}

type Kind = 'reconfigure' | 'resize' | 'rebuild';

async function attempt(kind: Kind) {
  const { row, claim: mine } = await claim(at);
  const made = await prepareAttempt(at, row, fixture);
  const create = { reconfigure: reconfigure.run, resize: resize.run, rebuild: rebuild.run }[kind];
  return { ...made, mine, row, work: () => create(fixture.deps)(made.run) };
}
const first = async (kind: Kind, parameters?: { plan: string }) => {
  await ask(at, 'a1', kind, parameters);
  return attempt(kind);
};
/** The try after a failed one. */
async function next(kind: Kind, { mine }: Awaited<ReturnType<typeof attempt>>) {
  await settleFailure(at, mine, { error: new RetryableError('no answer'), step: 'verifying' });
  await waitOver(at);
  clear();
  return attempt(kind);
}
const inputs = async () => completeInputs('a1', (await getAgent(at.database, 'a1')).inputs);
const keys = async () =>
  createVault(new Secret('passphrase')).open('a1', (await getAgent(at.database, 'a1')).secrets!);
const programs = () => fixture.programs as AgentProgram[];

describe('reconfigure', () => {
  test('runs an up with the purchased inputs and the current playbook, and waits for a healthy answer', async () => {
    const before = await inputs();
    fixture.deps.settings.configurationVersion = 'v2';
    const { work, row } = await first('reconfigure');
    expect(await work()).toEqual({ kind: 'reconfigured', outputs: { ...OUTPUTS, tailnetNodeId: 'd1' } });
    expect(fixture.calls).toEqual([
      'step preparing',
      'step configuring',
      'up agent',
      'step verifying',
      'healthy 100.64.0.1',
    ]);
    const expected = { ...before, configurationVersion: 'v2', configuredBy: row.operation_id };
    expect(programs()[0]).toMatchObject({ inputs: expected, found: { serverId: '4711', sshKeyId: '8' } });
    expect(await inputs()).toEqual(expected);
  });

  test('does the same again after a lost attempt, once the state is cleared', async () => {
    const one = await first('reconfigure');
    await one.work();
    const applied = await inputs();
    await (await next('reconfigure', one)).work();
    expect(await inputs()).toEqual(applied);
    expect(fixture.calls.slice(0, 4)).toEqual([
      'step preparing',
      'refresh agent',
      'step configuring',
      'up agent',
    ]);
  });

  test('never creates a server: gives up if there is none', async () => {
    fixture.servers.length = 0;
    await expect((await first('reconfigure')).work()).rejects.toThrow('a rebuild creates a new one');
    expect(fixture.calls).toEqual(['step preparing']);
  });
});

describe('resize', () => {
  test('takes the first of the plan’s servers that is to be had, or waits before anything is off', async () => {
    const types = { nbg1: ['cx33', 'cpx32'] };
    fixture.deps.settings.planServers = { pro: { types, mostEurosPerMonth: undefined } };
    const sold = (isAvailable: boolean) => [{ location: 'nbg1', isAvailable, eurosPerMonth: 5 }];
    Object.assign(fixture.offers, { cx33: sold(false), cpx32: sold(false) });
    const { work } = await first('resize', { plan: 'pro' });
    await expect(work()).rejects.toThrow(ShortageError);
    expect(fixture.calls).toEqual(['step preparing']);
    fixture.offers.cpx32 = sold(true);
    expect(await work()).toMatchObject({ kind: 'resized', plan: 'pro' });
    expect((await inputs()).serverType).toBe('cpx32');
  });

  test('does not wait switched off: what a lost attempt had switched off is switched on again', async () => {
    fixture.deps.settings.planServers = { pro: { types: { nbg1: ['cx33'] }, mostEurosPerMonth: undefined } };
    fixture.offers.cx33 = [{ location: 'nbg1', isAvailable: false, eurosPerMonth: 5 }];
    const lost = await first('resize', { plan: 'pro' });
    fixture.servers[0]!.status = 'off';
    await expect((await next('resize', lost)).work()).rejects.toThrow(ShortageError);
    expect(fixture.calls.at(-1)).toBe('power on 4711');
    expect(fixture.servers[0]!.status).toBe('running');
  });

  test('switches off, changes the type but not the disk, switches on, checks health, then records the inputs', async () => {
    const before = await inputs();
    const { work } = await first('resize', { plan: 'pro' });
    expect(await work()).toEqual({
      kind: 'resized',
      outputs: { ...OUTPUTS, tailnetNodeId: 'd1' },
      plan: 'pro',
    });
    expect(fixture.calls).toEqual([
      'step preparing',
      'step stopping_server',
      'shut down 4711',
      'step resizing_server',
      'up agent',
      'step starting_server',
      'power on 4711',
      'step verifying',
      'healthy 100.64.0.1',
    ]);
    expect(await inputs()).toEqual({ ...before, serverType: 'cx33', keepDisk: true });
    expect(programs()[0]!.inputs).toEqual(await inputs());
  });

  test('keeps a server running unchanged if its type could not be changed', async () => {
    const before = await inputs();
    fixture.answers['up agent'] = [new RetryableError('resource_unavailable')];
    await expect((await first('resize', { plan: 'pro' })).work()).rejects.toThrow('resource_unavailable');
    expect(fixture.calls.at(-1)).toBe('power on 4711');
    expect(fixture.servers[0]!.status).toBe('running');
    expect(await inputs()).toEqual(before);
  });

  test('refuses a smaller disk before it switches the agent off', async () => {
    fixture.servers[0]!.diskGb = 160;
    await expect((await first('resize', { plan: 'pro' })).work()).rejects.toThrow('a disk cannot shrink');
    expect(fixture.calls).toEqual(['step preparing']);
  });
});

describe('rebuild', () => {
  test('handles key, disk, device, join and configuration in this order', async () => {
    const before = { inputs: await inputs(), keys: await keys() };
    const { work, row, lines } = await first('rebuild');
    expect(await work()).toEqual({ kind: 'rebuilt', outputs: { ...OUTPUTS, tailnetNodeId: 'n2' } });
    expect(fixture.calls).toEqual([
      'step preparing',
      'step renewing_key',
      'renew-key agent',
      'step reinstalling_server',
      'rebuild 4711',
      'delete device d1',
      'delete key k1',
      'step joining_network',
      'up agent',
      'step verifying',
      'healthy 100.64.0.1',
    ]);
    expect(fixture.installed).toEqual([{ image: 'debian-12', userData: 'user data' }]);
    expect(lines.join()).not.toContain('user data');
    const after = { inputs: await inputs(), keys: await keys() };
    expect(after.inputs).toEqual({
      ...before.inputs,
      joinName: fixture.vault.joinName('a1', 2),
      hostPublicKey: after.keys.hostPublicKey,
      keyGeneration: before.inputs.keyGeneration + 1,
      configuredBy: `${row.operation_id} 1`,
    });
    expect(after.keys.sshPrivateKey).toBe(before.keys.sshPrivateKey);
    expect(after.keys.hostPrivateKey).not.toBe(before.keys.hostPrivateKey);
    expect(after.keys.nextHostPrivateKey).not.toBe(before.keys.nextHostPrivateKey);
    const [renewal, whole] = programs();
    expect(renewal!.device).toEqual({ tailnetIp: '100.64.0.1', tailnetName: OUTPUTS.tailnetName });
    expect(whole!.device).toBeUndefined();
    expect(whole!.secrets.hostPrivateKey).toBe(after.keys.hostPrivateKey);
  });

  test('installs once more after a lost attempt, with a new generation', async () => {
    const one = await first('rebuild');
    await one.work();
    const before = await inputs();
    fixture.devices.push({ ...device, nodeId: 'd2', hostname: fixture.vault.joinName('a1', 2) });
    const two = await next('rebuild', one);
    await two.work();
    expect(fixture.calls.slice(0, 4)).toEqual([
      'step preparing',
      'refresh agent',
      'step renewing_key',
      'renew-key agent',
    ]);
    expect(fixture.calls).toContain('delete device d2');
    expect(await inputs()).toMatchObject({
      keyGeneration: before.keyGeneration + 1,
      configuredBy: `${two.row.operation_id} 2`,
    });
  });

  test('keeps the key it has just created and revokes those of lost creates', async () => {
    fixture.tailnetKeys.push(
      { id: 'k2', description: 'agent-a1 2' },
      { id: 'k9', description: 'agent-a12 1' },
    );
    await (await first('rebuild')).work();
    expect(fixture.tailnetKeys.map((key) => key.id)).toEqual(['k2', 'k9']);
  });

  test('leaves the server alone if its key cannot be created', async () => {
    fixture.answers['renew-key agent'] = [new RetryableError('Tailscale answered 500')];
    const before = { inputs: await inputs(), keys: await keys() };
    await expect((await first('rebuild')).work()).rejects.toThrow('Tailscale answered 500');
    expect(fixture.servers[0]!.status).toBe('running');
    expect(fixture.calls).not.toContain('delete device d1');
    // It still shows its host key, so it can be configured again.
    expect(await keys()).toEqual(before.keys);
    expect(await inputs()).toEqual({
      ...before.inputs,
      joinName: fixture.vault.joinName('a1', 2),
      keyGeneration: 2,
    });
  });

  describe('that Hetzner refuses', () => {
    const all = async () => ({
      inputs: await inputs(),
      keys: await keys(),
      server: { ...fixture.servers[0]! },
    });

    test('changes nothing if the server is protected', async () => {
      fixture.servers[0]!.isProtected = true;
      const before = await all();
      const refused = (await first('rebuild')).work();
      await expect(refused).rejects.toThrow(/protected at Hetzner .* nothing has been touched/);
      await expect(refused).rejects.toBeInstanceOf(PermanentError);
      expect(fixture.calls).toEqual(['step preparing']);
      expect(await all()).toEqual(before);
      expect(fixture.devices).toHaveLength(1);
    });

    test('waits for the action that locks the server', async () => {
      fixture.servers[0]!.isLocked = true;
      const { getServer } = fixture.deps.hetzner;
      let looks = 0;
      fixture.deps.hetzner.getServer = async (id) => {
        looks += 1;
        if (looks > 1) fixture.servers[0]!.isLocked = false;
        return structuredClone(await getServer(id));
      };
      const work = (await first('rebuild')).work();
      await work;
      expect(looks).toBeGreaterThan(1);
      expect(fixture.calls).toContain('rebuild 4711');
    });

    test.each([
      ['protected', new ProtectedError('rebuild is protected for this server (protected)')],
      ['a lock that stays', new LockedError('server is locked (locked)')],
      ['invalid', new HttpError(422, 'invalid input in field image', 'invalid_input')],
      ['a failed action', new ActionFailedError('ended in an error')],
    ])('at the last moment leaves the agent running unchanged: %s', async (_, error) => {
      fixture.answers.rebuild = [error];
      const before = await all();
      fixture.tailnetKeys.push({ id: 'k2', description: 'agent-a1 2' });
      await expect((await first('rebuild')).work()).rejects.toBe(error);
      expect(fixture.calls).not.toContain('power off 4711');
      expect(fixture.devices.map(({ nodeId }) => nodeId)).toEqual(['d1']);
      expect(fixture.servers[0]).toEqual(before.server);
      // It still shows its previous keys, so it can be configured.
      expect(await keys()).toEqual(before.keys);
      const joinName = fixture.vault.joinName('a1', 2);
      expect(await inputs()).toEqual({ ...before.inputs, joinName, keyGeneration: 2 });
      // The key created for it is revoked.
      expect(fixture.tailnetKeys).toEqual([]);
    });

    test('switches the server on again if the failed action switched it off', async () => {
      const error = new ActionFailedError('the host is on fire');
      fixture.deps.hetzner.rebuild = async () => {
        fixture.servers[0]!.status = 'off';
        throw error;
      };
      fixture.deps.hetzner.getServer = async (id) =>
        structuredClone(fixture.servers.find((one) => String(one.id) === id));
      await expect((await first('rebuild')).work()).rejects.toBe(error);
      expect(fixture.calls).toContain('power on 4711');
    });

    test('without an answer may have worked: the new keys stay until the next attempt', async () => {
      fixture.answers.rebuild = [new RetryableError('no answer')];
      const before = await keys();
      await expect((await first('rebuild')).work()).rejects.toThrow('no answer');
      expect((await keys()).hostPrivateKey).not.toBe(before.hostPrivateKey);
      expect(fixture.devices).toHaveLength(1);
    });
  });

  test('finds a server without labels, and never touches someone else’s server of that name', async () => {
    fixture.servers[0]!.labels = { backup: 'nightly' };
    await (await first('rebuild')).work();
    expect(fixture.calls).toContain('rebuild 4711');
    await at.empty();
    fixture = createRunbookFixture(at);
    await provisioned();
    fixture.servers.splice(0, 1, { ...server('a1', 99), labels: { owner: 'somebody' } });
    await expect((await first('rebuild')).work()).rejects.toThrow('Server agent-a1 (99)');
    expect(fixture.calls).toEqual(['step preparing']);
  });

  test('keeps a device that joins during the installation as the new one', async () => {
    const { rebuild } = fixture.deps.hetzner;
    fixture.deps.hetzner.rebuild = async (...args) => {
      await rebuild(...args);
      fixture.devices.push({ ...device, nodeId: 'd2', hostname: fixture.vault.joinName('a1', 2) });
    };
    await (await first('rebuild')).work();
    expect(fixture.devices.map(({ nodeId }) => nodeId)).toEqual(['d2']);
  });

  test('recreates a server that is gone, after it is removed from the state', async () => {
    fixture.servers.length = 0;
    await (await first('rebuild')).work();
    expect(fixture.calls).toEqual([
      'step preparing',
      'refresh agent',
      'delete device d1',
      'step joining_network',
      'up agent',
      'step verifying',
      'healthy 100.64.0.1',
    ]);
    fixture.answers['refresh agent'] = [new StackNotFoundError('no stack')];
    await at.empty();
    await provisioned();
    fixture.servers.length = 0;
    await (await first('rebuild')).work();
    expect(fixture.calls).toContain('up agent new');
  });
});
