import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findReceipt } from '../../src/agents/receipts.ts';
import { getAgent } from '../../src/agents/store.ts';
import { LostError, PermanentError, RetryableError } from '../../src/errors.ts';
import {
  type RunnerRecord,
  recordForRunner,
  recordSchema,
} from '../../src/executors/github-actions/record.ts';
import type { Attempt } from '../../src/operations/attempt.ts';
import type { RunbookParts } from '../../src/operations/runbook-parts.ts';
import { NotJoinedError } from '../../src/pulumi/errors.ts';
import { createFoundationStore } from '../../src/runbooks/steps/foundation-store.ts';
import { Secret } from '../../src/secret.ts';
import { toSnapshotLabels } from '../../stacks/labels.ts';
import type { AgentProgram } from '../../stacks/program.ts';
import { hold, release } from '../support/holds.ts';
import { agentInputs } from '../support/inputs.ts';
import {
  drain as drainAll,
  interrupting as interruptingNth,
  lose,
  nothingIsLost as nothingLost,
} from '../support/interrupted-attempts.ts';
import { ask, type OperationsFixture, OUTPUTS, openOperations } from '../support/operations-fixture.ts';
import { type AttemptOptions, agentDevice, attemptNext, runningAgent } from '../support/runbook-attempts.ts';
import { createRunbookFixture, type RunbookFixture, server } from '../support/runbook-fixture.ts';

let at: OperationsFixture;
let fixture: RunbookFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());

const agent = () => getAgent(at.database, 'a1');
const refused = new RetryableError('Hetzner answered 500');

beforeEach(begin);

/** A suspended agent with its server, which is off, and its device. */
async function begin(): Promise<void> {
  await at.empty();
  fixture = createRunbookFixture(at);
  await runningAgent(at, fixture);
  await hold(at, 'a1');
  await attempt();
  expect(await agent()).toMatchObject({ status: 'suspended' });
}

/** Records as a runner does, whose callbacks reach the service. */
function recordingAsRunner(): Pick<RunbookParts, 'recordInputs' | 'recordSnapshot'> {
  const deps = { database: at.database, callbackSecret: new Secret('secret') };
  const foundations = createFoundationStore(at.database, { evict: async () => {} });
  const send = async ({ operation: { operation_id: jobId } }: Attempt, record: RunnerRecord) => {
    await sql`update operations set executor = 'github-actions' where operation_id = ${jobId}`.execute(
      at.database,
    );
    await recordForRunner({ ...deps, foundations }, { jobId }, recordSchema.parse(record));
  };
  return {
    recordInputs: (run, { inputs, secrets }) =>
      send(run, { kind: 'inputs', inputs, sealedKeys: secrets.toString('base64') }),
    recordSnapshot: (run, snapshotId) => send(run, { kind: 'snapshot', snapshotId }),
  };
}

const request = (kind: 'hibernate' | 'wake' | 'destroy') => ask(at, 'a1', kind);

/** Runs an attempt of the next operation as a worker does, and settles it. */
const attempt = (wrap: Wrap = (parts) => parts) => attemptNext(at, fixture, { wrap });

type Wrap = NonNullable<AttemptOptions['wrap']>;

async function hibernated(): Promise<void> {
  await request('hibernate');
  expect((await attempt()).error).toBeUndefined();
  expect(await agent()).toMatchObject({ status: 'hibernated' });
}

const drain = () => drainAll(at, fixture);

test('a hibernation, and then the destroy, leave a receipt of what Hetzner listed and no longer lists', async () => {
  await hibernated();
  const body = async () => (await findReceipt(at.database, 'a1'))?.body;
  expect(await body()).toMatchObject({
    kind: 'hibernate',
    agent: { serverId: '42' },
    evidence: {
      removed: [{ cloud: 'hetzner', kind: 'server', id: '42', name: 'agent-a1' }],
      gone: { hetzner: expect.stringMatching(/Z$/) },
    },
  });
  const { snapshot_id: id } = await agent();
  await request('destroy');
  expect((await attempt()).error).toBeUndefined();
  const evidence = { removed: expect.arrayContaining([expect.objectContaining({ kind: 'snapshot', id })]) };
  expect(await body()).toMatchObject({ kind: 'destroy', evidence });
});

const HIBERNATE = [
  'step preparing',
  'refresh agent',
  'step stopping_server',
  'step creating_snapshot',
  'snapshot 42',
  'record snapshot 9001',
  'step deleting_server',
  'up agent',
];
const WAKE = [
  'step preparing',
  'refresh agent',
  'step creating_server',
  'up agent',
  'step verifying',
  'healthy 100.64.0.1',
  'step removing_snapshot',
  'delete snapshot 9001',
];

const nothingIsLost = () => nothingLost(at, fixture);
const interrupting = (nth: number, when: 'before' | 'after', interrupt: () => Promise<void>) =>
  interruptingNth({ nth, when, interrupt, check: nothingIsLost });

describe('hibernate', () => {
  test('keeps a verified, recorded snapshot, and only then deletes the server; the device stays', async () => {
    await request('hibernate');
    expect(await attempt()).toMatchObject({ calls: HIBERNATE, error: undefined });
    expect(await agent()).toMatchObject({
      status: 'hibernated',
      snapshot_id: '9001',
      server_id: null,
      ipv4: null,
      tailnet_node_id: 'n1',
      tailnet_ip: OUTPUTS.tailnetIp,
      inputs: { hibernated: { snapshotId: '9001' } },
      error: null,
    });
    expect(fixture.servers).toEqual([]);
    expect(fixture.devices).toHaveLength(1);
    const { operationId } = agentInputs('a1');
    expect(fixture.snapshots).toMatchObject([
      {
        id: '9001',
        name: 'agent-a1',
        serverId: '42',
        labels: { 'agent-id': 'a1', 'operation-id': operationId },
      },
    ]);
    expect(fixture.programs.at(-1)).toMatchObject({ inputs: { hibernated: { snapshotId: '9001' } } });
  });

  test('switches a server off that someone has switched on', async () => {
    fixture.servers[0]!.status = 'running';
    await request('hibernate');
    expect((await attempt()).calls).toContain('shut down 42');
  });

  test('touches nothing if the server is protected at Hetzner', async () => {
    fixture.servers[0]!.isProtected = true;
    await request('hibernate');
    const { calls, error } = await attempt();
    expect(error).toBeInstanceOf(PermanentError);
    expect(calls).toEqual(['step preparing', 'refresh agent']);
    expect(await agent()).toMatchObject({ status: 'suspended', snapshot_id: null });
    expect((await agent()).error).toContain('protected at Hetzner');
  });

  test('waits for the snapshot that a killed attempt has begun, and makes no second one', async () => {
    fixture.answers.snapshot = [refused];
    await request('hibernate');
    expect((await attempt()).error).toBe(refused);
    expect(await agent()).toMatchObject({ status: 'suspended', snapshot_id: null });
    const { calls } = await attempt();
    expect(calls).toContain('await snapshot 9001');
    expect(calls).not.toContain('snapshot 42');
    expect(fixture.snapshots.map(({ id }) => id)).toEqual(['9001']);
  });

  test('uses no snapshot of another hibernate, or from before the server ran again, and removes them', async () => {
    const old = {
      name: 'agent-a1',
      status: 'available',
      sizeGb: 1,
      serverId: '42',
      isProtected: false,
      createdAt: new Date(),
    };
    fixture.snapshots.push({ id: '7', ...old, labels: toSnapshotLabels({ agentId: 'a1' }, 'another') });
    fixture.answers['up agent'] = [refused];
    await request('hibernate');
    await attempt();
    expect(await agent()).toMatchObject({ status: 'suspended', snapshot_id: '9002' });
    fixture.servers[0]!.status = 'running';
    const { calls } = await attempt();
    expect(calls).toEqual([
      'step preparing',
      'refresh agent',
      'record snapshot null',
      'delete snapshot 9002',
      'delete snapshot 7',
      'step stopping_server',
      'shut down 42',
      ...HIBERNATE.slice(3),
    ]);
    expect(fixture.snapshots.map(({ id }) => id)).toEqual(['9001']);
    expect(await agent()).toMatchObject({ status: 'hibernated', snapshot_id: '9001' });
  });

  test('keeps the snapshot while Hetzner still deletes the server', async () => {
    fixture.answers['up agent'] = [refused];
    await request('hibernate');
    expect((await attempt()).error).toBe(refused);
    expect(await agent()).toMatchObject({ status: 'suspended', snapshot_id: '9001' });
    fixture.servers[0]!.status = 'deleting';
    const { calls, error } = await attempt();
    expect(error).toBeUndefined();
    expect(calls.filter((call) => /snapshot/.test(call))).toEqual([]);
    expect(await agent()).toMatchObject({ status: 'hibernated', snapshot_id: '9001' });
  });

  test('an incomplete snapshot never replaces the server', async () => {
    fixture.deps.hetzner.createSnapshot = async (serverId, { name, labels }) => {
      const made = {
        id: '9001',
        name,
        labels,
        status: 'available',
        sizeGb: 0,
        serverId,
        isProtected: false,
        createdAt: new Date(),
      };
      fixture.snapshots.push(made);
      return made;
    };
    await request('hibernate');
    expect((await attempt()).error).toBeInstanceOf(RetryableError);
    expect(fixture.servers).toHaveLength(1);
    expect(await agent()).toMatchObject({ status: 'suspended', snapshot_id: null });
  });

  test('a failure for the last time after the record leaves it hibernated, and the delete is tried again later', async () => {
    fixture.answers['up agent'] = [new PermanentError('the stack is broken')];
    await request('hibernate');
    await attempt();
    expect(await agent()).toMatchObject({
      status: 'hibernated',
      snapshot_id: '9001',
      error: 'the stack is broken',
    });
    expect(await attempt()).toMatchObject({ kind: 'hibernate', error: undefined });
    expect(fixture.servers).toEqual([]);
    expect(await agent()).toMatchObject({ status: 'hibernated', snapshot_id: '9001', error: null });
  });

  test('without a server and without a recorded snapshot it fails for good and says so', async () => {
    fixture.servers.length = 0;
    await request('hibernate');
    expect((await attempt()).error).toBeInstanceOf(PermanentError);
    expect((await agent()).error).toContain('no snapshot of it was recorded');
  });

  test.each(['before', 'after'] as const)(
    'a kill %s any change leaves the server or a verified snapshot, and in the end one snapshot',
    { timeout: 60_000 },
    async (when) => {
      for (let nth = 1; ; nth += 1) {
        if (nth > 1) await begin();
        const { seen, wrap } = interrupting(nth, when, lose);
        fixture.servers[0]!.status = 'running';
        await request('hibernate');
        const { error } = await attempt(wrap);
        await nothingIsLost();
        if (seen.calls < nth) {
          expect(error).toBeUndefined();
          expect(nth).toBeGreaterThan(4);
          return;
        }
        await drain();
        expect(fixture.servers, `kill ${when} call ${nth}`).toEqual([]);
        expect(fixture.snapshots, `kill ${when} call ${nth}`).toHaveLength(1);
        expect(await agent()).toMatchObject({ status: 'hibernated', snapshot_id: fixture.snapshots[0]!.id });
      }
    },
  );

  test('a payment at any change brings the agent back, with one server that has its disk', {
    timeout: 60_000,
  }, async () => {
    const ways = new Set<string>();
    for (let nth = 1; ; nth += 1) {
      if (nth > 1) await begin();
      await request('hibernate');
      let seen = { calls: 0 };
      await attempt((parts, abort) => {
        const interrupted = interrupting(nth, 'after', async () => {
          await release(at, 'a1');
          abort();
          throw new LostError('aborted');
        });
        seen = interrupted.seen;
        return interrupted.wrap(parts);
      });
      if (seen.calls < nth) break;
      ways.add((await drain()).join());
      expect(await agent(), `payment at call ${nth}`).toMatchObject({ status: 'running', snapshot_id: null });
      expect(fixture.servers).toHaveLength(1);
      const [one] = fixture.servers;
      expect(one!.id === '42' || one!.imageId === '9001', `payment at call ${nth}`).toBe(true);
      expect(one!.status).toBe('running');
    }
    expect([...ways].sort()).toEqual(['resume', 'wake']);
  });
});

describe('wake', () => {
  beforeEach(hibernated);

  test('makes a server from the snapshot, waits until it answers as the same device, and removes the snapshot', async () => {
    await release(at, 'a1');
    expect(await attempt()).toMatchObject({ kind: 'wake', calls: WAKE, error: undefined });
    expect(await agent()).toMatchObject({
      status: 'running',
      health: 'healthy',
      snapshot_id: null,
      server_id: fixture.servers[0]!.id,
      tailnet_node_id: 'n1',
      tailnet_name: OUTPUTS.tailnetName,
      error: null,
    });
    expect((await agent()).inputs).not.toHaveProperty('hibernated');
    expect(fixture.programs.at(-1)).toMatchObject({
      restoredFrom: '9001',
      device: { tailnetIp: OUTPUTS.tailnetIp },
    });
    expect(fixture.programs.at(-1)).not.toHaveProperty('inputs.hibernated');
    expect(fixture.snapshots).toEqual([]);
  });

  test('cannot be requested while a hold switches the agent off', async () => {
    await expect(request('wake')).rejects.toThrow('is held (abuse');
  });

  test('without its snapshot fails for good, and no empty server is made', async () => {
    fixture.snapshots.length = 0;
    await release(at, 'a1');
    const { calls, error } = await attempt();
    expect(error).toBeInstanceOf(PermanentError);
    expect(calls).toEqual(['step preparing', 'refresh agent']);
    expect(await agent()).toMatchObject({ status: 'hibernated', snapshot_id: '9001' });
    expect((await agent()).error).toContain('cannot be restored');
  });

  const JOINED = {
    status: 'running',
    health: 'healthy',
    tailnet_node_id: 'n2',
    snapshot_id: null,
    error: null,
  };

  /** What is true of every wake without a device: one server, one device under the agent's name, one key. */
  async function joinedAnew(imageId: string): Promise<void> {
    expect(fixture.servers).toMatchObject([{ imageId, status: 'running' }]);
    const { inputs, tailnet_node_id: nodeId } = await agent();
    expect(inputs?.joinName).toBe(fixture.vault.joinName('a1', inputs!.keyGeneration!));
    expect(fixture.devices).toMatchObject([
      { nodeId, name: OUTPUTS.tailnetName, hostname: inputs!.joinName, tags: ['tag:agent'] },
    ]);
    expect(fixture.tailnetKeys).toEqual([]);
    expect(fixture.snapshots).toEqual([]);
    expect(inputs).not.toHaveProperty('hibernated');
  }

  describe('without its device', () => {
    beforeEach(() => {
      fixture.devices.length = 0;
    });

    test('joins as a new one under the same name, with a new key, from the same snapshot', async () => {
      fixture.tailnetKeys.push({ id: 'k1', description: 'agent-a1 1' });
      await release(at, 'a1');
      expect(await attempt()).toMatchObject({
        kind: 'wake',
        error: undefined,
        calls: ['step preparing', 'refresh agent', 'step renewing_key', 'delete key k1', ...WAKE.slice(2)],
      });
      expect(await agent()).toMatchObject({ ...JOINED, tailnet_name: OUTPUTS.tailnetName });
      const program = fixture.programs.at(-1) as AgentProgram;
      expect(program).toMatchObject({ restoredFrom: '9001', inputs: { keyGeneration: 2 } });
      expect(program.device).toBeUndefined();
      await joinedAnew('9001');
    });

    test('that has expired, removes it first: its name is for the new one', async () => {
      const old = { nodeId: 'n1', name: OUTPUTS.tailnetName, hostname: 'agent-a1', tags: ['tag:agent'] };
      const addresses = [OUTPUTS.tailnetIp];
      fixture.devices.push({ ...old, addresses, expires: '2020-01-01T00:00:00Z', keyExpiryDisabled: false });
      await release(at, 'a1');
      expect((await attempt()).calls).toContain('delete device n1');
      expect(await agent()).toMatchObject(JOINED);
      await joinedAnew('9001');
    });

    test('waits for the server of a killed attempt, which joins with the key it was made with', async () => {
      fixture.answers.healthy = [new LostError('killed')];
      await release(at, 'a1');
      await attempt();
      expect(fixture.servers).toHaveLength(1);
      const { calls } = await attempt();
      expect(calls).toEqual(WAKE);
      expect(fixture.programs.at(-1)).toMatchObject({
        inputs: { keyGeneration: 2 },
        found: { serverId: '2' },
      });
      await joinedAnew('9001');
    });

    /** The server is made from the snapshot, and runs, but never joins. */
    async function notJoined(): Promise<void> {
      await release(at, 'a1');
      const { error } = await attempt((parts) => ({
        ...parts,
        executor: {
          ...parts.executor,
          up: async (...args) => {
            await parts.executor.up(...args);
            fixture.devices.length = 0;
            throw new NotJoinedError('The server did not join the tailnet in time');
          },
        },
      }));
      expect(error).toBeInstanceOf(NotJoinedError);
    }

    test.each(['before', 'after'] as const)(
      'replaces a server that has not joined, also after a kill %s any change of that',
      { timeout: 60_000 },
      async (when) => {
        for (let nth = 1; ; nth += 1) {
          if (nth > 1) {
            await begin();
            await hibernated();
            fixture.devices.length = 0;
          }
          await notJoined();
          const { seen, wrap } = interrupting(nth, when, lose);
          await attempt(wrap);
          if (seen.calls < nth) {
            expect(nth).toBeGreaterThan(8);
            return;
          }
          const wasOff = fixture.servers[0]?.status === 'off';
          fixture.deps.hetzner.powerOn = () => Promise.reject(new PermanentError('it has been switched on'));
          await drain();
          expect(await agent(), `kill ${when} call ${nth}`).toMatchObject({ status: 'running' });
          if (wasOff) await joinedAnew('9002');
        }
      },
    );

    test('replaces a server that has not joined, by one with the next key and with what is on its disk', async () => {
      await notJoined();
      const { calls } = await attempt();
      expect(calls.slice(2, 8)).toEqual([
        'step stopping_server',
        'shut down 2',
        'step creating_snapshot',
        'snapshot 2',
        'record snapshot 9002',
        'delete server 2',
      ]);
      expect(await agent()).toMatchObject({ ...JOINED, tailnet_node_id: 'n3' });
      await joinedAnew('9002');
    });

    test('replaces its server on a runner too, which records by callbacks', async () => {
      fixture.servers.push({ ...server('a1', 77), imageId: '9001' });
      await release(at, 'a1');
      const { error, calls } = await attempt((parts) => ({ ...parts, ...recordingAsRunner() }));
      expect(error).toBeUndefined();
      expect(calls).toContain('delete server 77');
      expect(await agent()).toMatchObject(JOINED);
      await joinedAnew('9002');
    });

    test('that vanishes after a wake has failed, loses nothing that the server has written since', async () => {
      fixture.devices.push({
        ...{ nodeId: 'n1', name: OUTPUTS.tailnetName, hostname: 'agent-a1' },
        ...{ addresses: [OUTPUTS.tailnetIp], tags: ['tag:agent'] },
      });
      fixture.answers.healthy = [refused];
      await release(at, 'a1');
      expect((await attempt()).error).toBe(refused);
      fixture.devices.length = 0;
      expect((await attempt()).calls).toContain('snapshot 2');
      expect(await agent()).toMatchObject(JOINED);
      await joinedAnew('9002');
    });

    test('of a server that the hibernate had not deleted, uses its snapshot, which is its disk', async () => {
      await begin();
      fixture.answers['up agent'] = [new PermanentError('the stack is broken')];
      await request('hibernate');
      await attempt();
      fixture.servers[0]!.imageId = '114690387';
      fixture.devices.length = 0;
      await release(at, 'a1');
      const { calls } = await attempt();
      expect(calls).toContain('delete server 42');
      expect(calls).not.toContain('snapshot 42');
      expect(await agent()).toMatchObject(JOINED);
      await joinedAnew('9001');
    });

    test.each(['before', 'after'] as const)(
      'a kill %s any change leaves a server or the snapshot, and in the end one server and one device',
      { timeout: 60_000 },
      async (when) => {
        for (let nth = 1; ; nth += 1) {
          if (nth > 1) {
            await begin();
            await hibernated();
          }
          fixture.devices.length = 0;
          fixture.tailnetKeys.push({ id: 'k1', description: 'agent-a1 1' });
          const { seen, wrap } = interrupting(nth, when, lose);
          await release(at, 'a1');
          const { error } = await attempt(wrap);
          if (seen.calls < nth) {
            expect(error).toBeUndefined();
            expect(nth).toBeGreaterThan(6);
            return;
          }
          await drain();
          expect(await agent(), `kill ${when} call ${nth}`).toMatchObject({ status: 'running' });
          await joinedAnew('9001');
        }
      },
    );
  });

  describe('of an older agent, whose row has no device’s id', () => {
    beforeEach(async () => {
      await sql`update agents set tailnet_node_id = null`.execute(at.database);
    });

    /** It fails for good, and nothing joins beside the old device. */
    async function refuses(why: string): Promise<void> {
      await release(at, 'a1');
      expect((await attempt()).error).toBeInstanceOf(PermanentError);
      expect((await agent()).error).toContain(why);
      expect(fixture.servers).toEqual([]);
      expect(fixture.devices.map(({ nodeId }) => nodeId)).toEqual(['n1']);
    }

    test('finds the device by its address', async () => {
      await release(at, 'a1');
      expect((await attempt()).error).toBeUndefined();
      expect(await agent()).toMatchObject({ status: 'running', tailnet_node_id: 'n1' });
    });

    test.each([undefined, '2020-01-01T00:00:00Z'])(
      'lets no other join while it has lost its tag',
      async (expires) => {
        Object.assign(fixture.devices[0]!, { tags: [], expires });
        await refuses('no longer has tag:agent');
      },
    );

    test('lets no other join while its device is unknown', async () => {
      await sql`update agents set tailnet_ip = null`.execute(at.database);
      await refuses('device is unknown');
    });

    test('joins as a new one if no device has its address', async () => {
      fixture.devices.length = 0;
      await release(at, 'a1');
      expect((await attempt()).error).toBeUndefined();
      expect(await agent()).toMatchObject(JOINED);
      await joinedAnew('9001');
    });
  });

  test('leaves another server of its name alone', async () => {
    fixture.servers.push({ ...server('a1', 77), imageId: '114690387' });
    await release(at, 'a1');
    const { error } = await attempt();
    expect(error).toBeInstanceOf(PermanentError);
    expect((await agent()).error).toContain('was not made from');
    expect(fixture.servers).toHaveLength(1);
  });

  test('replaces a copy that Hetzner could not start', async () => {
    fixture.answers.healthy = [refused];
    await release(at, 'a1');
    await attempt();
    expect(fixture.servers).toMatchObject([{ id: '2', imageId: '9001' }]);
    fixture.failedServers.add('2');
    const { calls, error } = await attempt();
    expect(error).toBeUndefined();
    // The state knows of the delete before `up`.
    expect(calls.slice(calls.indexOf('delete server 2'))).toEqual([
      'delete server 2',
      'refresh agent',
      ...WAKE.slice(2),
    ]);
    expect(fixture.servers).toMatchObject([{ imageId: '9001', status: 'running' }]);
  });

  test('a hold while it fails leads back to the snapshot alone', async () => {
    fixture.answers.healthy = [refused];
    await release(at, 'a1');
    expect((await attempt()).error).toBe(refused);
    expect(fixture.servers).toHaveLength(1);
    await hold(at, 'a1');
    // What it has written since is in a new snapshot.
    expect(await drain()).toEqual(['hibernate']);
    expect(fixture.servers).toEqual([]);
    expect(fixture.snapshots.map(({ id }) => id)).toEqual(['9002']);
    expect(await agent()).toMatchObject({ status: 'hibernated', snapshot_id: '9002' });
  });

  test('of a server that the hibernate had not deleted ends well after a kill behind its last change', async () => {
    await begin();
    fixture.answers['up agent'] = [new PermanentError('the stack is broken')];
    await request('hibernate');
    await attempt();
    expect(await agent()).toMatchObject({ status: 'hibernated', snapshot_id: '9001' });
    fixture.servers[0]!.imageId = '114690387';
    await release(at, 'a1');
    // As the killed attempt has left it: the server was woken, and its snapshot was outdated.
    fixture.servers[0]!.status = 'running';
    fixture.snapshots.length = 0;
    expect(await attempt()).toMatchObject({ kind: 'wake', error: undefined });
    expect(await agent()).toMatchObject({ status: 'running', server_id: '42', snapshot_id: null });
  });

  describe('of a server that the hibernate had not deleted, and that has run since', () => {
    const device = () => agentDevice('a1', 'n1');
    /** Hetzner refuses to begin a snapshot. */
    const withoutSnapshot = (parts: RunbookParts): RunbookParts => ({
      ...parts,
      hetzner: { ...parts.hetzner, createSnapshot: () => Promise.reject(refused) },
    });

    /** It was switched on, wrote data, and did not answer. Its snapshot 9001 is from before. */
    beforeEach(async () => {
      await begin();
      fixture.answers['up agent'] = [new PermanentError('the stack is broken')];
      await request('hibernate');
      await attempt();
      fixture.servers[0]!.imageId = '114690387';
      fixture.answers.healthy = [refused];
      await release(at, 'a1');
      expect((await attempt()).calls).toContain('power on 42');
      expect(fixture.servers).toMatchObject([{ id: '42', status: 'running' }]);
    });

    test('a hibernate keeps what it has written, also if its first attempt makes no snapshot', async () => {
      await hold(at, 'a1');
      expect((await attempt(withoutSnapshot)).error).toBe(refused);
      expect(fixture.servers).toMatchObject([{ id: '42', status: 'off' }]);
      const { calls } = await attempt();
      expect(calls).toContain('snapshot 42');
      expect(fixture.servers).toEqual([]);
      expect(fixture.snapshots.map(({ id }) => id)).toEqual(['9002']);
      expect(await agent()).toMatchObject({ inputs: { hibernated: { snapshotId: '9002' } } });
      expect((await agent()).inputs?.hibernated).not.toHaveProperty('outdated');
    });

    test('so does the next hibernate, after one that has failed for good', async () => {
      await hold(at, 'a1');
      const failure = new PermanentError('Hetzner allows no more snapshots');
      await attempt((parts) => ({
        ...parts,
        hetzner: { ...parts.hetzner, createSnapshot: () => Promise.reject(failure) },
      }));
      expect(await agent()).toMatchObject({ status: 'hibernated', snapshot_id: '9001' });
      expect(await attempt()).toMatchObject({ kind: 'hibernate', error: undefined });
      expect(await agent()).toMatchObject({ status: 'hibernated', snapshot_id: '9002' });
    });

    test('a wake that has to replace it does too', async () => {
      fixture.devices.length = 0;
      expect((await attempt(withoutSnapshot)).error).toBe(refused);
      expect(fixture.servers).toMatchObject([{ id: '42', status: 'off' }]);
      expect((await attempt()).calls).toContain('snapshot 42');
      expect(fixture.servers).toMatchObject([{ imageId: '9002', status: 'running' }]);
      expect((await agent()).status).toBe('running');
    });

    test('a snapshot that this wake had begun before is not taken for a new one', async () => {
      fixture.devices.length = 0;
      fixture.answers.snapshot = [new LostError('killed')];
      await attempt();
      expect(fixture.snapshots).toHaveLength(2);
      fixture.devices.push(device());
      fixture.answers.healthy = [new LostError('killed')];
      expect((await attempt()).calls).toContain('power on 42');
      fixture.devices.length = 0;
      await attempt(withoutSnapshot);
      const { calls } = await attempt();
      expect(calls).not.toContain('await snapshot 9002');
      expect(calls).toContain('snapshot 42');
      expect(fixture.servers).toMatchObject([{ imageId: '9003', status: 'running' }]);
    });
  });

  test('is not undone by a snapshot that Hetzner does not delete', async () => {
    fixture.deps.hetzner.deleteSnapshot = () => Promise.reject(refused);
    await release(at, 'a1');
    expect(await attempt()).toMatchObject({ kind: 'wake', error: undefined });
    expect(await agent()).toMatchObject({ status: 'running', snapshot_id: null });
  });

  test.each(['before', 'after'] as const)(
    'a kill %s any change leaves a server or the snapshot, and in the end one server',
    { timeout: 60_000 },
    async (when) => {
      for (let nth = 1; ; nth += 1) {
        if (nth > 1) {
          await begin();
          await hibernated();
        }
        const { seen, wrap } = interrupting(nth, when, lose);
        await release(at, 'a1');
        const { error } = await attempt(wrap);
        if (seen.calls < nth) {
          expect(error).toBeUndefined();
          expect(nth).toBeGreaterThan(4);
          return;
        }
        await drain();
        expect(fixture.servers, `kill ${when} call ${nth}`).toMatchObject([{ imageId: '9001' }]);
        expect(fixture.snapshots, `kill ${when} call ${nth}`).toEqual([]);
        expect(await agent()).toMatchObject({ status: 'running', server_id: fixture.servers[0]!.id });
      }
    },
  );
});

test('a destroy of a hibernated agent removes its snapshots and its device', async () => {
  await hibernated();
  const other = { ...fixture.snapshots[0]!, id: '8', status: 'unavailable' };
  fixture.snapshots.push(other, { ...other, id: '7', name: 'theirs', labels: {} });
  await request('destroy');
  expect(await attempt()).toMatchObject({ kind: 'destroy', error: undefined });
  expect(fixture.snapshots.map(({ id }) => id)).toEqual(['7']);
  expect(fixture.devices).toEqual([]);
  expect(await agent()).toMatchObject({ status: 'destroyed', snapshot_id: null, inputs: null });
});
