import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { setHostname } from '../../../sandbox/tailscale/devices.ts';
import { jsonText } from '../../../src/database/storable.ts';
import { listAttention } from '../../../src/reconcile/attention.ts';
import { startSweeping, sweepAlone } from '../../../src/reconcile/sweep/schedule.ts';
import { lastSweep } from '../../../src/reconcile/sweep/sweeps.ts';
import { stampAsNew } from '../../support/stamp.ts';
import { openSweepFixture, type SweepFixture, toJoinName } from '../../support/sweep-fixture.ts';

let fixture: SweepFixture;
beforeAll(async () => {
  fixture = await openSweepFixture();
});
afterAll(() => fixture.close());
beforeEach(() => fixture.empty());

/** Every kind of resource of an agent, left behind. */
async function orphans(agentId: string) {
  return {
    server: await fixture.server(agentId),
    sshKey: await fixture.sshKey(agentId),
    tailnetKey: await fixture.tailnetKey(agentId),
    device: await fixture.device(agentId),
  };
}

/** A running agent with all its resources. */
async function runningAgent(agentId: string) {
  const server = await fixture.server(agentId);
  const sshKey = await fixture.sshKey(agentId);
  const device = await fixture.device(agentId);
  await fixture.agent(agentId, { status: 'running', serverId: server, tailnetIp: device });
  return { server, sshKey, device };
}

test('what carries the name of an agent’s server is the agent’s, whatever its labels say', async () => {
  const serverName = 'srv-0123456789abcdef0123';
  await fixture.server('nobody', { name: serverName });
  await fixture.sshKey('nobody', { name: serverName });
  await fixture.tailnetKeyNamed(serverName);
  await fixture.agent('gone', { status: 'destroyed' });
  await fixture.database.insertInto('server_names').values({ name: serverName, owner_id: 'gone' }).execute();
  const report = await fixture.sweep();
  expect(report.findings).toHaveLength(3);
  for (const finding of report.findings) expect(finding).toMatch(/^Removed: .*srv-.* belongs to agent gone/);
  expect(await fixture.left()).toMatchObject({ servers: [], sshKeys: [], tailnetKeys: [] });
});

test.each(['pending', 'given-back'] as const)(
  'a server whose adoption is %s is its owner’s, whatever name and labels are left on it',
  async (status) => {
    const server = await fixture.server('ada');
    const sshKey = await fixture.sshKey('ada');
    await fixture.agent('ada', { status: status === 'pending' ? 'failed' : 'destroyed' });
    const ended = status === 'pending' ? {} : { status, ended_at: new Date() };
    const row = { agent_id: 'ada', project: 'default', server_id: String(server), ...ended };
    await fixture.database.insertInto('adoptions').values(row).execute();
    const report = await fixture.sweep();
    expect(report.findings).toEqual([expect.stringContaining(`SSH key agent-ada (${sshKey})`)]);
    expect(await fixture.left()).toMatchObject({ servers: [server], sshKeys: [] });
    // Once it was adopted it is the agent's as any other.
    await fixture.database
      .updateTable('adoptions')
      .set({ status: 'adopted', ended_at: new Date() })
      .execute();
    await fixture.sweep();
    expect(await fixture.left()).toMatchObject({ servers: [] });
  },
);

test('a record that differs is written again, but not before a rebuild has read it', async () => {
  await runningAgent('a1');
  const row = { owner_id: 'a1', seen: new Date(), digest: 'a'.repeat(64), key_id: 'k', error: null };
  await fixture.database.insertInto('cloud_records').values(row).execute();
  const isKept = async () =>
    (await fixture.database.selectFrom('cloud_records').select('owner_id').execute()).length === 1;
  await stampAsNew(fixture.database);
  await sql`update installation set recovery = 'needed'`.execute(fixture.database);
  await fixture.sweep();
  expect(await isKept()).toBe(true);
  await sql`update installation set recovery = 'none'`.execute(fixture.database);
  await fixture.sweep();
  expect(await isKept()).toBe(false);
});

const audited = () =>
  fixture.database
    .selectFrom('audit_log')
    .select(['actor', 'action', 'agent_id', 'details'])
    .where('action', 'like', 'sweep.%')
    .orderBy('id')
    .execute();

describe('orphans', () => {
  test.each([
    ['destroyed', 'destroyed'],
    ['failed', 'rolled-back'],
  ] as const)(
    'of a %s agent are removed: server, keys, device, in this order, each with an audit entry',
    async (status, reason) => {
      const { server, sshKey, tailnetKey } = await orphans('gone');
      await fixture.agent('gone', { status });
      const healthy = await runningAgent('healthy');

      const report = await fixture.sweep();

      expect(await fixture.left()).toEqual({
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
      expect(fixture.logged).toContainEqual(
        expect.objectContaining({
          event: 'sweep.finding',
          agentId: 'gone',
          msg: `Removed: Server agent-gone (${server}) belongs to agent gone, ${why}`,
        }),
      );
      // Nothing is left to do.
      expect(await fixture.sweep()).toMatchObject({ removed: 0, findings: [] });
    },
  );

  test('a key generation that is not a number does not stop a sweep', async () => {
    await runningAgent('a1');
    await fixture.agent('odd', { status: 'failed' });
    await sql`alter table agents drop constraint if exists agents_key_generation`.execute(fixture.database);
    await sql`update agents set inputs = '{"keyGeneration": "abc"}' where agent_id = 'odd'`.execute(
      fixture.database,
    );
    await fixture.tailnetKey('odd', 1);
    expect(await fixture.sweep()).toMatchObject({ removed: 1, note: null });
  });

  test('a running agent loses a second device that joined for it, and an unused key of an older generation', async () => {
    const { server, sshKey, device } = await runningAgent('a1');
    await fixture.database
      .updateTable('agents')
      .set({ inputs: jsonText({ keyGeneration: 2 }) })
      .execute();
    await fixture.device('a1');
    await fixture.tailnetKey('a1', 1);
    await fixture.tailnetKey('a1', 2);
    await fixture.sweep();
    expect(await fixture.left()).toEqual({
      servers: [server],
      sshKeys: [sshKey],
      tailnetKeys: ['agent-a1 2'],
      devices: [device],
    });
  });
});

test('resources without a known owner are reported and never touched', async () => {
  await orphans('stranger');
  await fixture.server('x', { name: 'by-hand', labels: { 'managed-by': 'agents' } });
  await fixture.server('x', {
    name: 'somebody-elses',
    labels: { 'agent-id': 'gone', 'managed-by': 'terraform' },
  });
  await fixture.device('x', 'laptop');
  await fixture.agent('gone', { status: 'destroyed' });
  const before = await fixture.left();
  const report = await fixture.sweep();
  expect(await fixture.left()).toEqual(before);
  expect(report.removed).toBe(0);
  expect(report.findings).toHaveLength(6);
  expect(report.findings.every((text) => text.includes('is unknown'))).toBe(true);
  expect((await lastSweep(fixture.database))?.findings).toEqual(report.findings);
  expect(await audited()).toEqual([]);
});

test('what nobody knows needs a person, with its cause and cure, until it is gone; the operator is told once', async () => {
  await fixture.server('stranger');
  const attention = () => listAttention(fixture.database, { limit: 50 });
  const notices = () =>
    fixture.database.selectFrom('notices').select('type').where('type', '=', 'fleet.mismatch').execute();
  const before = (await notices()).length;
  await fixture.sweep();
  await fixture.sweep();
  expect(await attention()).toMatchObject([
    {
      class: 'mismatch',
      agentId: null,
      cause: expect.stringMatching(
        /^Server .*carries our labels, but its owner, agent stranger, is unknown\.$/,
      ),
      cure: expect.stringContaining('billed until then'),
    },
  ]);
  expect((await notices()).length).toBe(before + 1);
  await fixture.empty();
  await fixture.sweep();
  expect(await attention()).toEqual([]);
});

test.each(['queued', 'active'] as const)(
  'an agent with a %s operation is left alone, whatever resources it has',
  async (status) => {
    await orphans('failed-before');
    await fixture.agent('failed-before', { status: 'failed' });
    await fixture.operation('failed-before', 'rollback', status);
    await runningAgent('rebuilt');
    await fixture.device('rebuilt');
    await fixture.operation('rebuilt', 'rebuild', status);
    const before = await fixture.left();
    expect(await fixture.sweep()).toMatchObject({ removed: 0, findings: [] });
    expect(await fixture.left()).toEqual(before);
  },
);

describe('a failed removal', () => {
  test('keeps keys and device until the server is gone, and is retried', async () => {
    const { server } = await orphans('gone');
    await fixture.agent('gone', { status: 'destroyed' });
    const before = await fixture.left();
    await fixture.fault({
      area: 'hetzner',
      method: 'DELETE',
      path: '/servers/*',
      effect: { kind: 'action-error', code: 'action_failed', message: 'host is on fire' },
    });
    const report = await fixture.sweep();
    expect(report).toMatchObject({ removed: 0 });
    expect(report.findings).toEqual([
      expect.stringMatching(/^Could not be removed: Server .* host is on fire/),
    ]);
    expect(await fixture.left()).toEqual(before);
    expect(await audited()).toMatchObject([
      { action: 'sweep.remove-failed', agent_id: 'gone', details: { kind: 'server', id: String(server) } },
    ]);
    expect(await fixture.sweep()).toMatchObject({ removed: 4 });
    expect((await fixture.left()).servers).not.toContain(server);
  });

  test('of one agent does not stop the sweep of others', async () => {
    await orphans('one');
    await orphans('two');
    await fixture.agent('one', { status: 'destroyed' });
    await fixture.agent('two', { status: 'destroyed' });
    await fixture.fault({
      area: 'hetzner',
      method: 'DELETE',
      path: '/servers/*',
      effect: { kind: 'status', status: 500 },
    });
    expect(await fixture.sweep()).toMatchObject({ removed: 4 });
  });
});

describe('a missing server', () => {
  test('makes its agent unhealthy with the reason, and is not recreated', async () => {
    const { server, device } = await runningAgent('a1');
    await runningAgent('a2');
    await fixture.hcloud('DELETE', `/servers/${server}`);
    await expect.poll(async () => (await fixture.left()).servers).not.toContain(server);
    const report = await fixture.sweep();
    const text = `Server ${server} of agent a1 is no longer at Hetzner`;
    expect(report).toMatchObject({ removed: 0, findings: [text] });
    const agents = await fixture.database.selectFrom('agents').selectAll().orderBy('agent_id').execute();
    expect(agents).toMatchObject([
      { agent_id: 'a1', status: 'running', health: 'unhealthy', error: text },
      { agent_id: 'a2', status: 'running', health: 'healthy', error: null },
    ]);
    expect((await fixture.left()).devices).toContain(device);
    // It appears once in the audit log, and in every report.
    expect((await fixture.sweep()).findings).toEqual([text]);
    expect(await audited()).toHaveLength(1);
    expect(
      await fixture.database.selectFrom('operations').selectAll().where('kind', '<>', 'provision').execute(),
    ).toEqual([]);
  });

  test('with only its labels lost is not missing: they are restored beside its other ones', async () => {
    const { server } = await runningAgent('a1');
    const { operationId } = (
      await fixture.database.selectFrom('agents').select('inputs').executeTakeFirstOrThrow()
    ).inputs as { operationId: string };
    await fixture.hcloud('PUT', `/servers/${server}`, { labels: { backup: 'nightly' } });
    expect((await fixture.sweep()).findings).toEqual([
      `Server agent-a1 (${server}) of agent a1 had lost its labels: put back`,
    ]);
    expect((await fixture.hcloud('GET', `/servers/${server}`)).server.labels).toEqual({
      backup: 'nightly',
      'agent-id': 'a1',
      'managed-by': 'agents',
      'operation-id': operationId,
    });
    const agent = await fixture.database
      .selectFrom('agents')
      .select(['health', 'error'])
      .executeTakeFirstOrThrow();
    expect(agent).toEqual({ health: 'healthy', error: null });
    expect(await audited()).toMatchObject([{ action: 'sweep.server-mended', agent_id: 'a1' }]);
    expect(await fixture.sweep()).toMatchObject({ removed: 0, findings: [] });
  });

  test('keeps its labels off while an operation is active', async () => {
    const { server } = await runningAgent('a1');
    await fixture.hcloud('PUT', `/servers/${server}`, { labels: {} });
    await fixture.operation('a1', 'restart', 'queued');
    expect((await fixture.sweep()).findings).toEqual([]);
    expect((await fixture.hcloud('GET', `/servers/${server}`)).server.labels).toEqual({});
  });
});

describe('a label changed to another agent’s id', () => {
  test.each(['destroyed', 'failed', 'running'] as const)(
    '(%s) does not take the server from the agent whose row names it',
    async (status) => {
      const { server } = await runningAgent('a1');
      if (status === 'running') await runningAgent('a2');
      else await fixture.agent('a2', { status });
      const labels = { 'agent-id': 'a2', 'operation-id': 'earlier', 'managed-by': 'agents' };
      await fixture.hcloud('PUT', `/servers/${server}`, { labels });
      const before = await fixture.left();
      const report = await fixture.sweep();
      expect(await fixture.left()).toEqual(before);
      expect(report).toMatchObject({
        removed: 0,
        findings: [`Server agent-a1 (${server}) of agent a1 had lost its labels: put back`],
      });
      expect((await fixture.hcloud('GET', `/servers/${server}`)).server.labels['agent-id']).toBe('a1');
    },
  );

  test('does not make someone else’s server an orphan', async () => {
    await fixture.agent('a2', { status: 'destroyed' });
    await fixture.server('a2', { name: 'database-of-the-shop' });
    const before = await fixture.left();
    expect(await fixture.sweep()).toMatchObject({
      removed: 0,
      findings: [expect.stringContaining('its provision did not make it')],
    });
    expect(await fixture.left()).toEqual(before);
  });
});

describe('a firewall removed by hand', () => {
  async function firewalled() {
    const { server } = await runningAgent('a1');
    const { firewall } = await fixture.hcloud('POST', '/firewalls', { name: `agents-${server}`, rules: [] });
    const agent = await fixture.database.selectFrom('agents').select('inputs').executeTakeFirstOrThrow();
    const inputs = jsonText({ ...(agent.inputs as object), firewallId: firewall.id });
    await fixture.database.updateTable('agents').set({ inputs }).execute();
    return { server, firewall: firewall.id as number };
  }

  test('is noticed, reattached and reported', async () => {
    const { server, firewall } = await firewalled();
    expect((await fixture.sweep()).findings).toEqual([
      `Server agent-a1 (${server}) of agent a1 had lost the firewall ${firewall}: put back`,
    ]);
    const { firewalls } = (await fixture.hcloud('GET', `/servers/${server}`)).server.public_net;
    expect(firewalls).toEqual([{ id: firewall, status: 'applied' }]);
    expect((await fixture.sweep()).findings).toEqual([]);
  });

  test('and deleted is reported at every sweep', async () => {
    const { server, firewall } = await firewalled();
    await fixture.hcloud('DELETE', `/firewalls/${firewall}`);
    const text = `Server agent-a1 (${server}) of agent a1 is without the firewall ${firewall}, which is no longer at Hetzner`;
    expect((await fixture.sweep()).findings).toEqual([text]);
    expect((await fixture.sweep()).findings).toEqual([text]);
  });
});

describe('a device is identified by the control server, not by its hostname', () => {
  const setHostnameAt = (tailnetIp: string, hostname: string) =>
    setHostname(fixture.sandboxDatabase, { tailnetIp, hostname });
  const row = (agentId: string) =>
    fixture.database
      .selectFrom('agents')
      .selectAll()
      .where('agent_id', '=', agentId)
      .executeTakeFirstOrThrow();

  test('agents keep their devices when one claims another’s hostname, which is reported', async () => {
    const a = await runningAgent('a');
    const b = await runningAgent('b');
    await setHostnameAt(a.device, 'agent-b');
    const report = await fixture.sweep();
    expect((await fixture.left()).devices.sort()).toEqual([a.device, b.device].sort());
    expect(report.removed).toBe(0);
    expect(report.findings).toEqual([
      expect.stringMatching(/^Tailnet device .* of agent a calls itself "agent-b"/),
    ]);
    // The other server's join name, if it became known, does not help it either.
    await setHostnameAt(a.device, toJoinName('b'));
    expect(await fixture.sweep()).toMatchObject({ removed: 0 });
    expect((await fixture.left()).devices).toHaveLength(2);
  });

  test.each(['destroyed', 'failed', 'running'] as const)(
    'a device with the hostname of a %s agent has no owner and stays',
    async (status) => {
      const own = status === 'running' ? [(await runningAgent('a1')).device] : [];
      if (status !== 'running') await fixture.agent('a1', { status });
      const stranger = await fixture.device('x', 'agent-a1');
      const report = await fixture.sweep();
      expect((await fixture.left()).devices.sort()).toEqual([...own, stranger].sort());
      expect(report.findings).toContainEqual(
        expect.stringMatching(/^Tailnet device .* its owner is unknown/),
      );
    },
  );

  test('a device recorded by its address only is recorded by its id and gets its permanent name', async () => {
    const server = await fixture.server('old');
    await fixture.sshKey('old');
    const device = await fixture.device('old', 'agent-old');
    await fixture.agent('old', { status: 'running', serverId: server, tailnetIp: device, isLegacy: true });
    expect((await fixture.sweep()).findings).toEqual([
      expect.stringContaining('is recorded as the device of agent old'),
    ]);
    expect(await row('old')).toMatchObject({
      tailnet_node_id: expect.stringMatching(/CNTRL$/),
      tailnet_name: 'agent-old.tail5a4db0.ts.net',
    });
    await setHostnameAt(device, 'agent-other');
    const { rows } = await fixture.cloud.query('select label from tailscale_devices');
    expect(rows).toEqual([{ label: 'agent-old' }]);
    expect((await fixture.sweep()).findings).toEqual([expect.stringContaining('calls itself "agent-other"')]);
    expect((await fixture.left()).devices).toEqual([device]);
  });

  test('a device that already has the name keeps it; the agent’s gets a longer one', async () => {
    await fixture.device('x', 'agent-old');
    const server = await fixture.server('old');
    await fixture.sshKey('old');
    const device = await fixture.device('old', 'agent-old');
    await fixture.agent('old', { status: 'running', serverId: server, tailnetIp: device, isLegacy: true });
    await fixture.sweep();
    expect((await row('old')).tailnet_name).toMatch(/^agent-old-n[a-z0-9]{11}\.tail5a4db0\.ts\.net$/);
  });
});

describe('several workers', () => {
  const quiet = { signal: new AbortController().signal };

  test('sweep one at a time, and together no more often than one', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const openClouds: SweepFixture['openClouds'] = (watches) => {
      const clouds = fixture.openClouds(watches);
      return {
        ...clouds,
        tailscale: { ...clouds.tailscale, listKeys: () => held.then(() => clouds.tailscale.listKeys()) },
      };
    };
    const first = sweepAlone({ ...fixture, openClouds }, { pauseSeconds: 0, ...quiet });
    await expect.poll(() => lastSweep(fixture.database)).toMatchObject({ finishedAt: null });
    expect(await sweepAlone(fixture, { pauseSeconds: 0, ...quiet })).toBeUndefined();
    release();
    expect(await first).toMatchObject({ note: null });
    expect(await sweepAlone(fixture, { pauseSeconds: 600, ...quiet })).toBeUndefined();
    expect(await sweepAlone(fixture, { pauseSeconds: 0, ...quiet })).toMatchObject({ note: null });
  });

  test('sweep at their start and then at intervals, until they stop', async () => {
    const count = async () =>
      (await fixture.database.selectFrom('sweeps').select('sweep_id').execute()).length;
    const sweeping = startSweeping(fixture, 0.2);
    await expect.poll(count, { timeout: 10_000 }).toBeGreaterThanOrEqual(3);
    await sweeping.stop();
    expect(await lastSweep(fixture.database)).toMatchObject({ finishedAt: expect.any(Date) });
  });

  test('abort a sweep when they stop, and record that it ended early', async () => {
    const stopping = new AbortController();
    const openClouds: SweepFixture['openClouds'] = (watches) => {
      stopping.abort(new Error('The worker is stopping'));
      return fixture.openClouds(watches);
    };
    const ended = sweepAlone({ ...fixture, openClouds }, { pauseSeconds: 0, signal: stopping.signal });
    await expect(ended).rejects.toThrow('The worker is stopping');
    expect(await lastSweep(fixture.database)).toMatchObject({
      finishedAt: expect.any(Date),
      note: 'It ended early: The worker is stopping',
    });
    // The lock is free again.
    expect(await sweepAlone(fixture, { pauseSeconds: 0, ...quiet })).toMatchObject({ note: null });
  });
});

describe('a hibernated agent', () => {
  /** With its snapshot, key and device, and the server that a hibernate has not deleted. */
  async function hibernatedAgent(agentId: string) {
    const serverId = await fixture.server(agentId);
    const snapshotId = await fixture.snapshot(agentId, serverId);
    const tailnetIp = await fixture.device(agentId);
    const { operationId } = await fixture.agent(agentId, { status: 'hibernated', snapshotId, tailnetIp });
    const labels = { 'agent-id': agentId, 'operation-id': operationId, 'managed-by': 'agents' };
    await fixture.hcloud('PUT', `/servers/${serverId}`, { labels });
    return { serverId, snapshotId, tailnetIp };
  }
  const snapshots = async () =>
    (await fixture.hcloud('GET', '/images?type=snapshot')).images.map(({ id }: { id: number }) => id);

  test('loses a server that is off while its snapshot is complete, and nothing else', async () => {
    const { snapshotId, tailnetIp } = await hibernatedAgent('a1');
    const report = await fixture.sweep();
    expect(report.findings).toEqual([expect.stringContaining('a snapshot is kept in its place')]);
    expect(await fixture.left()).toMatchObject({ servers: [], devices: [tailnetIp] });
    expect(await snapshots()).toEqual([snapshotId]);
    expect((await fixture.sweep()).findings).toEqual([]);
  });

  test('keeps that server if it has run since its snapshot was made', async () => {
    const { serverId, snapshotId } = await hibernatedAgent('a1');
    const hibernated = { snapshotId: String(snapshotId), outdated: [String(snapshotId)] };
    await sql`update agents set inputs = inputs || ${JSON.stringify({ hibernated })}::jsonb`.execute(
      fixture.database,
    );
    const report = await fixture.sweep();
    expect(report.findings).toEqual([expect.stringContaining('the next one takes it over')]);
    expect((await fixture.left()).servers).toEqual([serverId]);
  });

  test('keeps that server if the snapshot was deleted, and becomes unhealthy', async () => {
    const { serverId, snapshotId } = await hibernatedAgent('a1');
    await fixture.hcloud('DELETE', `/images/${snapshotId}`);
    const report = await fixture.sweep();
    expect(report.findings).toContainEqual(expect.stringContaining('its data is lost'));
    expect((await fixture.left()).servers).toEqual([serverId]);
    const row = await fixture.database.selectFrom('agents').select(['health', 'error']).executeTakeFirst();
    expect(row).toMatchObject({
      health: 'unhealthy',
      error: expect.stringContaining('no longer at Hetzner'),
    });
  });

  test('and a destroyed one: its snapshots are removed', async () => {
    const serverId = await fixture.server('gone');
    await fixture.snapshot('gone', serverId);
    await fixture.agent('gone', { status: 'destroyed' });
    expect((await fixture.sweep()).removed).toBe(2);
    expect(await snapshots()).toEqual([]);
  });
});
