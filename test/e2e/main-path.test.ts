import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { expectNoChanges } from '../support/clean-stack.ts';
import { getHoldings } from '../support/clouds.ts';
import { countHetznerCalls } from '../support/hetzner-calls.ts';
import { hetznerPython, listWithOfficialClient } from '../support/hetzner-client.ts';
import type { Installation } from '../support/installation.ts';
import { paidCheckout } from '../support/stripe-events.ts';
import { useInstallation } from '../support/use-installation.ts';

const agentId = `main-${randomUUID().slice(0, 8)}`;
const stack = `agent-${agentId}`;
const order = { agentId, userId: 'user-1', region: 'eu-west' };
const event = paidCheckout(order);
const COPIES = 100;
const OTHER_EVENTS = 10;
const TIMED_POSTS = 40;

let installation: Installation;

useInstallation((started) => {
  installation = started;
});

describe('from a paid checkout to a running agent', () => {
  it('answers the event, 100 copies of it and other events for the same session with 200', async () => {
    expect(await installation.deliver(event)).toMatchObject({ status: 200, body: { received: true } });
    const copies = Array.from({ length: COPIES }, () => event);
    const others = Array.from({ length: OTHER_EVENTS }, () => ({ ...event, id: `evt_${randomUUID()}` }));
    const answers = await Promise.all([...copies, ...others].map((sent) => installation.deliver(sent)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  }, 60_000);

  it('runs, as `agents -- logs -f` tells step by step', async () => {
    const { code, stdout } = await installation.npm(['agents', '--', 'logs', agentId, '-f']);
    expect(stdout).toMatch(/▸ creating_server[\s\S]*▸ joining_network[\s\S]*▸ configuring[\s\S]*▸ verifying/);
    expect(stdout).toMatch(/creating server \(Server\)…[\s\S]*creating server \(Server\): done/);
    expect(code).toBe(0);
    const { body: agent } = await installation.ask(`/api/agents/${agentId}`);
    expect(agent).toMatchObject({ status: 'running', step: 'running', health: 'healthy', location: 'fsn1' });
  }, 120_000);

  it('is one agent with one operation and one server', async () => {
    const [{ agents, operations, orders }] = await installation.query(
      `select (select count(*) from agents where agent_id = $1) as agents,
              (select count(*) from operations where agent_id = $1) as operations,
              (select count(*) from orders where agent_id = $1) as orders`,
      [agentId],
    );
    expect([agents, operations, orders].map(Number)).toEqual([1, 1, 1]);
    expect(await getHoldings(installation.connection, agentId)).toEqual({
      servers: [stack],
      sshKeys: [stack],
      // Used up by its one device, and so no longer listed.
      tailnetKeys: [],
      devices: [stack],
    });
    expect(await tailnetKeys()).toEqual([
      { description: `${await serverName()} 1`, used: true, revoked: false },
    ]);
  });

  it('is what Hetzner’s official client lists, with its labels', async ({ skip }) => {
    skip(
      hetznerPython === undefined,
      "Hetzner's Python client could not be set up (see the start of npm test)",
    );
    const [row] = await installation.query('select * from operations where agent_id = $1', [agentId]);
    const servers = await listWithOfficialClient(installation.connection, `agent-id==${agentId}`);
    const { body: agent } = await installation.ask(`/api/agents/${agentId}`);
    expect(servers).toEqual([
      {
        id: Number(agent.serverId),
        name: agent.serverName,
        status: 'running',
        labels: { 'agent-id': agentId, 'operation-id': row.operation_id, 'managed-by': 'agents' },
        location: 'fsn1',
        ipv4: agent.ipv4,
      },
    ]);
  });

  it('has a row in the view of the first version, with its 16 columns', async () => {
    const [row, ...more] = await installation.query('select * from provisioning_jobs where agent_id = $1', [
      agentId,
    ]);
    expect(more).toEqual([]);
    expect(Object.keys(row)).toEqual(
      (
        'id agent_id user_id stripe_event_id status region workflow_run_id retry_count max_retries error ' +
        'failed_step claimed_at last_heartbeat_at completed_at created_at updated_at'
      ).split(' '),
    );
    expect(row).toMatchObject({
      agent_id: agentId,
      user_id: 'user-1',
      stripe_event_id: event.id,
      status: 'running',
      region: 'eu-west',
      retry_count: 0,
      error: null,
      completed_at: expect.any(Date),
    });
  });

  it('is what the plain Pulumi CLI shows: the outputs of the contract, and nothing to change', async () => {
    const outputs = await installation.npm(['pulumi', '--', 'stack', 'output', '-s', stack, '--json']);
    expect(outputs.stderr).toBe('');
    const { body: agent } = await installation.ask(`/api/agents/${agentId}`);
    const { serverId, serverName, ipv4, ipv6, tailnetIp, tailnetName } = agent;
    expect(JSON.parse(outputs.stdout)).toEqual({ serverId, serverName, ipv4, ipv6, tailnetIp, tailnetName });
    for (const value of [serverId, serverName, ipv4, ipv6, tailnetIp, tailnetName])
      expect(value).toBeTruthy();
    // Nothing of the agent is in the server's name.
    expect(serverName).toMatch(/^srv-[0-9a-f]{20}$/);
    expect((await expectNoChanges(installation, agentId)).stdout).toMatch(/5 unchanged/);
    const stacks = await installation.run(['pulumi', '--', 'stack', 'ls']);
    expect(stacks.stdout).toMatch(new RegExp(`^${stack}\\b.*\\n`, 'm'));
    expect(stacks.stdout).toMatch(/^foundation-default\b/m);
  }, 240_000);

  it('answers quickly (measured and printed)', async () => {
    const times: number[] = [];
    for (let count = 0; count < TIMED_POSTS; count += 1) {
      // Orders that need attention: written like others, but without creating 40 servers.
      const sent = paidCheckout({ ...order, agentId: `${agentId}-${count}`, region: 'moon' });
      const begun = performance.now();
      expect((await installation.deliver(sent)).status).toBe(200);
      times.push(performance.now() - begun);
    }
    const sorted = times.toSorted((a, b) => a - b);
    console.log(
      `${TIMED_POSTS} signed events: median ${sorted[TIMED_POSTS / 2]!.toFixed(1)} ms, slowest ${sorted.at(-1)!.toFixed(1)} ms`,
    );
  }, 60_000);

  it('can be refreshed', async () => {
    const refreshed = await installation.agents('refresh', agentId, '--wait');
    expect(refreshed.stdout).toMatch(/refresh succeeded/);
    expect(refreshed.code).toBe(0);
    const shown = await installation.agents('show', agentId, '--json');
    const { operations, ...agent } = JSON.parse(shown.stdout);
    expect(agent).toMatchObject({ status: 'running', health: 'healthy' });
    expect(operations.map(({ kind, status }: Record<string, string>) => `${kind} ${status}`)).toEqual([
      'refresh succeeded',
      'provision succeeded',
    ]);
  }, 60_000);
});

describe('and back', () => {
  it('destroys all its resources: server, keys, device, stack, history and locks', async () => {
    const countCalls = await countHetznerCalls(installation.connection, '^/(servers|ssh_keys|images)(/|$)');
    const destroyed = await installation.agents('destroy', agentId, '--yes', '--wait');
    expect(destroyed.stdout).toMatch(/destroy succeeded/);
    expect(destroyed.code).toBe(0);
    // The stack's refresh and deletes 4, the lists before 3 and after 6; a sweep may ask meanwhile. They were
    // 25.
    expect(await countCalls()).toBeLessThan(20);
    expect(await getHoldings(installation.connection, agentId)).toEqual({
      servers: [],
      sshKeys: [],
      tailnetKeys: [],
      devices: [],
    });
    expect(await tailnetKeys()).toEqual([
      { description: `${await serverName()} 1`, used: true, revoked: true },
    ]);
    const state = await installation.query(
      'select key from pulumi_state where key like $1',
      [`%${stack}%`],
      'pulumi',
    );
    expect(state).toEqual([]);
    const [row] = await installation.query('select * from agents where agent_id = $1', [agentId]);
    expect(row).toMatchObject({ status: 'destroyed', server_id: null, tailnet_ip: null, secrets: null });
  }, 90_000);

  it('refuses to destroy it again', async () => {
    const again = await installation.ask(`/api/agents/${agentId}/destroy`, { method: 'POST' });
    expect(again).toMatchObject({
      status: 409,
      body: { status: 409, detail: expect.stringContaining('destroyed') },
    });
    const byCommand = await installation.agents('destroy', agentId, '--yes');
    expect(byCommand.code).toBe(1);
    expect(byCommand.stderr).toContain('destroyed');
  }, 30_000);

  it('shows an order for a used id to the operator, and creates nothing', async () => {
    const late = paidCheckout(order);
    expect((await installation.deliver(late)).status).toBe(200);
    const { body } = await installation.ask('/api/orders?attention=true&limit=1');
    expect(body.items[0]).toMatchObject({
      sessionId: late.data.object.id,
      agentId: null,
      attention: expect.stringContaining(agentId),
    });
    expect((await installation.ask(`/api/agents/${agentId}`)).body.status).toBe('destroyed');
    expect((await getHoldings(installation.connection, agentId)).servers).toEqual([]);
  });
});

describe('an agent without an order', () => {
  it('is created and listed by the operator’s commands', async () => {
    const words = ['create', '--user-id', 'user-2', '--region', 'sin', '--wait', '--json'];
    const created = await installation.agents(...words);
    expect(created.code).toBe(0);
    const listed = await installation.agents('list', '--status', 'running', '--json');
    expect(JSON.parse(listed.stdout)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ userId: 'user-2', location: 'sin', status: 'running' }),
      ]),
    );
  }, 90_000);
});

/** The name of its server, which stays known when it is destroyed. */
async function serverName(): Promise<string> {
  const query = 'select name from server_names where owner_id = $1';
  const [row] = await installation.query(query, [agentId]);
  return row.name;
}

/** Returns all keys ever issued for the agent; the API lists only usable ones. */
async function tailnetKeys() {
  return installation.query(
    `select description, used_at is not null as used, revoked_at is not null as revoked
     from tailscale_keys where description like $1`,
    [`${await serverName()} %`],
    'sandbox',
  );
}
