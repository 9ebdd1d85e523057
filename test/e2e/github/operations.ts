import { expect, it } from 'vitest';
import { expectNoChanges } from '../../support/clean-stack.ts';
import { getHoldings } from '../../support/clouds.ts';
import { eventually } from '../../support/eventually.ts';
import { createFleet, type Fleet, type Operation } from '../../support/fleet.ts';
import type { Installation } from '../../support/installation.ts';

export interface Running {
  installation: Installation;
  /** An agent that runs. */
  agentId: string;
}

interface Server {
  status: string;
  server_type: { name: string };
  primary_disk_size: number;
}

/**
 * Declares a life of the agent with each kind of operation as a run of the real workflow. What is the same
 * wherever an operation runs is proved for the local executor, in lifecycle.test.ts.
 */
export function testOperations(get: () => Running): void {
  const fleet = (): Fleet => createFleet(get().installation);
  const agent = () => fleet().agent(get().agentId);
  const server = async (id: string): Promise<Server> =>
    (await fleet().hetzner<{ server: Server }>('GET', `/servers/${id}`)).server;

  /** Requests an operation. @returns it as it ended */
  async function end(kind: string, json: Record<string, unknown> = {}): Promise<Operation> {
    const { installation, agentId } = get();
    const { status, body } = await installation.ask(`/api/agents/${agentId}/${kind}`, { json });
    expect({ kind, status }, JSON.stringify(body)).toEqual({ kind, status: 202 });
    let last: Operation | undefined;
    return eventually(
      `the ${kind} has ended`,
      async () => {
        last = (await installation.ask(`/api/operations/${body.operationId}`)).body as Operation;
        expect(last).toMatchObject({ kind, executor: 'github-actions' });
        return !['queued', 'active'].includes(last.status) && last;
      },
      { withinSeconds: 150, describe: () => JSON.stringify(last) },
    );
  }

  /** Requests an operation that succeeds. @returns what its run reported as it went on */
  async function succeed(kind: string, json?: Record<string, unknown>): Promise<string> {
    const ended = await end(kind, json);
    expect(ended, ended.error ?? '').toMatchObject({ status: 'succeeded', retryCount: 0 });
    const rows = await get().installation.query(
      "select data->>'line' as line from operation_events where operation_id = $1 and type = 'log' order by id",
      [ended.operationId],
    );
    return [...ended.timeline.map(({ step }) => `▸ ${step}`), ...rows.map(({ line }) => line)].join('\n');
  }

  it('is stopped, started and restarted', async () => {
    const first = await agent();
    expect(await succeed('stop')).toContain('▸ stopping_server');
    expect(await agent()).toMatchObject({ status: 'stopped', health: 'unknown', serverId: first.serverId });
    expect((await server(first.serverId)).status).toBe('off');
    expect(await succeed('start')).toContain(`healthy at ${first.tailnetIp}`);
    expect((await server(first.serverId)).status).toBe('running');
    expect(await succeed('restart')).toMatch(/has shut down[\s\S]*is switched on[\s\S]*healthy at/);
    const { serverId, tailnetIp } = first;
    expect(await agent()).toMatchObject({ status: 'running', health: 'healthy', serverId, tailnetIp });
  }, 300_000);

  it('is configured again, and resized: the same server and disk, of another type', async () => {
    const { serverId } = await agent();
    const told = await succeed('reconfigure');
    expect(told).toContain('configuration (Command): done');
    expect(told).not.toContain('(Server)');
    await succeed('resize', { plan: 'pro' });
    expect(await agent()).toMatchObject({ status: 'running', plan: 'pro', serverId });
    expect(await server(serverId)).toMatchObject({ server_type: { name: 'cx33' }, primary_disk_size: 40 });
  }, 300_000);

  it('is rebuilt: the same server and address, another device', async () => {
    const before = await agent();
    const [device] = await fleet().devicesOf(get().agentId);
    await succeed('rebuild');
    const after = await agent();
    expect(after).toMatchObject({ status: 'running', serverId: before.serverId, ipv4: before.ipv4 });
    const [other, ...more] = await fleet().devicesOf(get().agentId);
    expect(more).toEqual([]);
    expect(other!.id).not.toBe(device!.id);
    expect(other!.addresses).toContain(after.tailnetIp);
  }, 180_000);

  it('is not rebuilt while its server is protected, which its run reports as final, and keeps running', async () => {
    const before = await agent();
    const protect = (on: boolean) =>
      fleet().hetzner('POST', `/servers/${before.serverId}/actions/change_protection`, {
        delete: on,
        rebuild: on,
      });
    await protect(true);
    const refused = await end('rebuild');
    expect(refused).toMatchObject({ status: 'failed', retryCount: 1 });
    expect(refused.error).toContain('protected at Hetzner');
    expect((await server(before.serverId)).status).toBe('running');
    await succeed('refresh');
    const { tailnetIp } = before;
    expect(await agent()).toMatchObject({ status: 'running', health: 'healthy', tailnetIp });
    await protect(false);
  }, 180_000);

  it('is put back to its snapshot: another server with its disk, name and device', async () => {
    const { installation, agentId } = get();
    const before = await agent();
    await succeed('snapshot');
    const [row, ...more] = (await installation.ask(`/api/agents/${agentId}/snapshots`)).body.items;
    expect([row, ...more]).toMatchObject([{ why: 'by-hand', status: 'available' }]);
    await succeed('revert', { snapshot: row.snapshotId });
    const after = await installation.untilAgent(agentId, 'running', 150);
    const { tailnetIp, tailnetName } = before;
    expect(after).toMatchObject({ health: 'healthy', tailnetIp, tailnetName });
    expect(after.serverId).not.toBe(before.serverId);
    const query = 'select image_id::text as image from hetzner_servers where id = $1';
    const [made] = await installation.query(query, [after.serverId], 'sandbox');
    expect(made.image).toBe(row.hetznerId);
  }, 300_000);

  it('leaves a stack that the plain CLI finds true, in the program and in the clouds', async () => {
    const { installation, agentId } = get();
    const { stdout } = await expectNoChanges(installation, agentId, 'both');
    expect(stdout).toMatch(/5 unchanged/);
  }, 60_000);

  it('is gone in the end: server, keys, device, stack, history and locks, but not its last snapshot', async () => {
    const { installation, agentId } = get();
    await succeed('destroy');
    expect(await getHoldings(installation.connection, agentId)).toEqual({
      servers: [],
      sshKeys: [],
      tailnetKeys: [],
      devices: [],
    });
    const state = 'select key from pulumi_state where key like $1';
    expect(await installation.query(state, [`%agent-${agentId}%`], 'pulumi')).toEqual([]);
    const [row] = await installation.query('select * from agents where agent_id = $1', [agentId]);
    expect(row).toMatchObject({ status: 'destroyed', server_id: null, tailnet_ip: null, secrets: null });
    const { body: receipt } = await installation.ask(`/api/agents/${agentId}/receipt`);
    const kept = (await installation.ask(`/api/agents/${agentId}/snapshots`)).body.items;
    expect(kept).toContainEqual(
      expect.objectContaining({
        why: 'before-destroy',
        status: 'available',
        hetznerId: receipt.body.lastSnapshot.hetznerId,
      }),
    );
  }, 180_000);
}
