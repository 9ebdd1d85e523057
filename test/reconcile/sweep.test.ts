import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { jsonText } from '../../src/database/storable.ts';
import { startSweeping, sweepAlone } from '../../src/reconcile/schedule.ts';
import { lastSweep } from '../../src/reconcile/sweeps.ts';
import { type Bed, openBed } from './support/bed.ts';

let bed: Bed;
beforeAll(async () => {
  bed = await openBed();
});
afterAll(() => bed.close());
beforeEach(() => bed.empty());

/** Everything that an agent can have, left behind. */
async function orphans(agentId: string) {
  return {
    server: await bed.server(agentId),
    sshKey: await bed.sshKey(agentId),
    tailnetKey: await bed.tailnetKey(agentId),
    device: await bed.device(agentId),
  };
}

/** A running agent with all that belongs to it. */
async function runningAgent(agentId: string) {
  const server = await bed.server(agentId);
  const sshKey = await bed.sshKey(agentId);
  const device = await bed.device(agentId);
  await bed.agent(agentId, { status: 'running', serverId: server, tailnetIp: device });
  return { server, sshKey, device };
}

const audited = () =>
  bed.database
    .selectFrom('audit_log')
    .select(['actor', 'action', 'agent_id', 'details'])
    .where('action', 'like', 'sweep.%')
    .orderBy('id')
    .execute();

describe('what nobody needs', () => {
  test.each([
    ['destroyed', 'destroyed'],
    ['failed', 'rolled-back'],
  ] as const)(
    'of a %s agent is removed: server, keys, device, in this order, each written down',
    async (status, reason) => {
      const { server, sshKey, tailnetKey } = await orphans('gone');
      await bed.agent('gone', { status });
      const healthy = await runningAgent('healthy');

      const report = await bed.sweep();

      expect(await bed.left()).toEqual({
        servers: [healthy.server],
        sshKeys: [healthy.sshKey],
        tailnetKeys: [],
        devices: [healthy.device],
      });
      expect(report).toMatchObject({ removed: 4, listed: 7, note: null, next: null });
      const entries = await audited();
      expect(entries.map(({ details }) => [details.kind, details.reason])).toEqual([
        ['server', reason],
        ['ssh-key', reason],
        ['tailnet-key', reason],
        ['device', reason],
      ]);
      expect(entries[0]).toMatchObject({ actor: 'service', action: 'sweep.remove', agent_id: 'gone' });
      expect(entries.slice(0, 3).map(({ details }) => details.id)).toEqual([
        String(server),
        String(sshKey),
        tailnetKey.id,
      ]);
      const why = status === 'failed' ? 'which has failed and is rolled back' : 'which is destroyed';
      expect(bed.logged).toContainEqual(
        expect.objectContaining({
          event: 'sweep.finding',
          agentId: 'gone',
          msg: `Removed: Server agent-gone (${server}) belongs to agent gone, ${why}`,
        }),
      );
      // There is nothing left to do.
      expect(await bed.sweep()).toMatchObject({ removed: 0, findings: [] });
    },
  );

  test('a key generation that is no number stops no sweep', async () => {
    await runningAgent('a1');
    await bed.agent('odd', { status: 'failed' });
    await sql`alter table agents drop constraint if exists agents_key_generation`.execute(bed.database);
    await sql`update agents set inputs = '{"keyGeneration": "abc"}' where agent_id = 'odd'`.execute(
      bed.database,
    );
    await bed.tailnetKey('odd', 1);
    expect(await bed.sweep()).toMatchObject({ removed: 1, note: null });
  });

  test('of a running agent is removed: a second device of its hostname, an unused key of an older generation', async () => {
    const { server, sshKey, device } = await runningAgent('a1');
    await bed.database
      .updateTable('agents')
      .set({ inputs: jsonText({ keyGeneration: 2 }) })
      .execute();
    await bed.device('a1');
    await bed.tailnetKey('a1', 1);
    await bed.tailnetKey('a1', 2);
    await bed.sweep();
    expect(await bed.left()).toEqual({
      servers: [server],
      sshKeys: [sshKey],
      tailnetKeys: ['agent-a1 2'],
      devices: [device],
    });
  });
});

test('what nobody knows is reported and never touched', async () => {
  await orphans('stranger');
  await bed.server('x', { name: 'by-hand', labels: { 'managed-by': 'agents' } });
  await bed.server('x', {
    name: 'somebody-elses',
    labels: { 'agent-id': 'gone', 'managed-by': 'terraform' },
  });
  await bed.device('x', 'laptop');
  await bed.agent('gone', { status: 'destroyed' });
  const before = await bed.left();
  const report = await bed.sweep();
  expect(await bed.left()).toEqual(before);
  expect(report.removed).toBe(0);
  expect(report.findings).toHaveLength(6);
  expect(report.findings.every((text) => text.includes('nobody knows'))).toBe(true);
  expect((await lastSweep(bed.database))?.findings).toEqual(report.findings);
  expect(await audited()).toEqual([]);
});

test.each(['queued', 'active'] as const)(
  'an agent with a %s operation is left alone, whatever it has',
  async (status) => {
    await orphans('failed-before');
    await bed.agent('failed-before', { status: 'failed' });
    await bed.operation('failed-before', 'rollback', status);
    await runningAgent('rebuilt');
    await bed.device('rebuilt');
    await bed.operation('rebuilt', 'rebuild', status);
    const before = await bed.left();
    expect(await bed.sweep()).toMatchObject({ removed: 0, findings: [] });
    expect(await bed.left()).toEqual(before);
  },
);

describe('a removal that does not work', () => {
  test('leaves the keys and the device until the server is gone, and is tried again', async () => {
    const { server } = await orphans('gone');
    await bed.agent('gone', { status: 'destroyed' });
    const before = await bed.left();
    await bed.fault({
      area: 'hetzner',
      method: 'DELETE',
      path: '/servers/*',
      effect: { kind: 'action-error', code: 'action_failed', message: 'host is on fire' },
    });
    const report = await bed.sweep();
    expect(report).toMatchObject({ removed: 0 });
    expect(report.findings).toEqual([
      expect.stringMatching(/^Could not be removed: Server .* host is on fire/),
    ]);
    expect(await bed.left()).toEqual(before);
    expect(await audited()).toMatchObject([
      { action: 'sweep.remove-failed', agent_id: 'gone', details: { kind: 'server', id: String(server) } },
    ]);
    expect(await bed.sweep()).toMatchObject({ removed: 4 });
    expect((await bed.left()).servers).not.toContain(server);
  });

  test('of one agent keeps no other from being swept', async () => {
    await orphans('one');
    await orphans('two');
    await bed.agent('one', { status: 'destroyed' });
    await bed.agent('two', { status: 'destroyed' });
    await bed.fault({
      area: 'hetzner',
      method: 'DELETE',
      path: '/servers/*',
      effect: { kind: 'status', status: 500 },
    });
    expect(await bed.sweep()).toMatchObject({ removed: 4 });
  });
});

describe('a server that is gone', () => {
  test('makes its agent unhealthy, with the reason, and is not made again', async () => {
    const { server, device } = await runningAgent('a1');
    await runningAgent('a2');
    await bed.hcloud('DELETE', `/servers/${server}`);
    await expect.poll(async () => (await bed.left()).servers).not.toContain(server);
    const report = await bed.sweep();
    const text = `Server ${server} of agent a1 is no longer at Hetzner`;
    expect(report).toMatchObject({ removed: 0, findings: [text] });
    const agents = await bed.database.selectFrom('agents').selectAll().orderBy('agent_id').execute();
    expect(agents).toMatchObject([
      { agent_id: 'a1', status: 'running', health: 'unhealthy', error: text },
      { agent_id: 'a2', status: 'running', health: 'healthy', error: null },
    ]);
    expect((await bed.left()).devices).toContain(device);
    // It is said once in the audit log, and in every report.
    expect((await bed.sweep()).findings).toEqual([text]);
    expect(await audited()).toHaveLength(1);
    expect(
      await bed.database.selectFrom('operations').selectAll().where('kind', '<>', 'provision').execute(),
    ).toEqual([]);
  });

  test('is not believed of one that has only lost its labels', async () => {
    const { server } = await runningAgent('a1');
    await bed.hcloud('PUT', `/servers/${server}`, { labels: {} });
    expect((await bed.sweep()).findings).toEqual([expect.stringContaining('no longer carries our labels')]);
    const agent = await bed.database.selectFrom('agents').select('health').executeTakeFirstOrThrow();
    expect(agent.health).toBe('healthy');
  });
});

describe('several workers', () => {
  const quiet = { signal: new AbortController().signal };

  test('sweep one at a time, and not more often than one would', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const openClouds: Bed['openClouds'] = (watches) => {
      const clouds = bed.openClouds(watches);
      return {
        ...clouds,
        tailscale: { ...clouds.tailscale, listKeys: () => held.then(() => clouds.tailscale.listKeys()) },
      };
    };
    const first = sweepAlone({ ...bed, openClouds }, { pauseSeconds: 0, ...quiet });
    await expect.poll(() => lastSweep(bed.database)).toMatchObject({ finishedAt: null });
    expect(await sweepAlone(bed, { pauseSeconds: 0, ...quiet })).toBeUndefined();
    release();
    expect(await first).toMatchObject({ note: null });
    expect(await sweepAlone(bed, { pauseSeconds: 600, ...quiet })).toBeUndefined();
    expect(await sweepAlone(bed, { pauseSeconds: 0, ...quiet })).toMatchObject({ note: null });
  });

  test('sweep at their start and again when it is time, until they stop', async () => {
    const count = async () => (await bed.database.selectFrom('sweeps').select('sweep_id').execute()).length;
    const sweeping = startSweeping(bed, 0.2);
    await expect.poll(count, { timeout: 10_000 }).toBeGreaterThanOrEqual(3);
    await sweeping.stop();
    expect(await lastSweep(bed.database)).toMatchObject({ finishedAt: expect.any(Date) });
  });

  test('end a sweep when they stop, and write down that it ended early', async () => {
    const stopping = new AbortController();
    const openClouds: Bed['openClouds'] = (watches) => {
      stopping.abort(new Error('The worker is stopping'));
      return bed.openClouds(watches);
    };
    const ended = sweepAlone({ ...bed, openClouds }, { pauseSeconds: 0, signal: stopping.signal });
    await expect(ended).rejects.toThrow('The worker is stopping');
    expect(await lastSweep(bed.database)).toMatchObject({
      finishedAt: expect.any(Date),
      note: 'It ended early: The worker is stopping',
    });
    // The lock is free again.
    expect(await sweepAlone(bed, { pauseSeconds: 0, ...quiet })).toMatchObject({ note: null });
  });
});
