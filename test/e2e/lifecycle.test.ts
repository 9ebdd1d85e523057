import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { expectNoChanges } from '../support/clean-stack.ts';
import { getHoldings } from '../support/clouds.ts';
import type { Installation } from '../support/installation.ts';
import { useInstallation } from '../support/use-installation.ts';
import { testLastSnapshot, testSnapshots } from './lifecycle/snapshots.ts';

const agentId = `life-${randomUUID().slice(0, 8)}`;
const stack = `agent-${agentId}`;

let installation: Installation;

useInstallation(
  (started) => {
    installation = started;
  },
  { BILLING_PLANS: fileURLToPath(new URL('lifecycle/plans.json', import.meta.url)) },
);

/** Runs an operator's command that waits for its operation. @returns what it printed */
async function agents(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await installation.agents(...words, '--wait');
  expect(stderr).toBe('');
  expect(code, stdout).toBe(0);
  return stdout;
}

const agent = async () => (await installation.ask(`/api/agents/${agentId}`)).body;

/** The plain CLI finds each of its resources unchanged: in the program and, with `refresh`, in the clouds. */
async function expectUnchanged(...verbs: ('preview' | 'refresh')[]): Promise<void> {
  for (const verb of verbs) {
    const { stdout } = await expectNoChanges(installation, agentId, verb);
    expect(stdout).toMatch(/5 unchanged/);
  }
}

interface Server {
  status: string;
  server_type: { name: string };
  primary_disk_size: number;
  labels: Record<string, string>;
  public_net: { firewalls: { id: number }[] };
}

async function serverOf(serverId: string): Promise<Server> {
  return ((await hetzner('GET', `/servers/${serverId}`)) as { server: Server }).server;
}

/** Does what a person does in Hetzner's console or with other tools. */
async function hetzner(method: string, path: string, body?: object): Promise<unknown> {
  const { hcloudEndpoint, hcloudToken } = installation.connection;
  const response = await fetch(`${hcloudEndpoint}${path}`, {
    method,
    headers: { authorization: `Bearer ${hcloudToken}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  expect(response.ok, `${method} ${path}`).toBe(true);
  return response.json();
}

describe('an agent between its provision and its end', () => {
  let first: Record<string, string>;

  it('is there', async () => {
    await agents('create', '--agent-id', agentId, '--user-id', 'user-1', '--region', 'eu-central');
    first = await agent();
    const [provision] = (await installation.ask(`/api/agents/${agentId}/operations`)).body.items;
    expect(provision).toMatchObject({ kind: 'provision', status: 'succeeded', step: 'running' });
  }, 120_000);

  it('is stopped: its server is off, everything is kept, and Pulumi knows', async () => {
    expect(await agents('stop', agentId)).toMatch(/▸ stopping_server[\s\S]*stop succeeded/);
    const { serverId, ipv4, tailnetIp } = first;
    expect(await agent()).toMatchObject({ status: 'stopped', health: 'unknown', serverId, ipv4, tailnetIp });
    expect((await serverOf(first.serverId!)).status).toBe('off');
    expect(await getHoldings(installation.connection, agentId)).toMatchObject({
      servers: [stack],
      devices: [stack],
    });
    await expectUnchanged('preview', 'refresh');
    for (const verb of ['stop', 'restart', 'reconfigure'])
      expect(await installation.ask(`/api/agents/${agentId}/${verb}`, { method: 'POST' })).toMatchObject({
        status: 409,
      });
  }, 240_000);

  it('is started: it answers at the address it had', async () => {
    expect(await agents('start', agentId)).toContain(`healthy at ${first.tailnetIp}`);
    const { serverId, tailnetIp } = first;
    expect(await agent()).toMatchObject({ status: 'running', health: 'healthy', serverId, tailnetIp });
    expect((await serverOf(first.serverId!)).status).toBe('running');
  }, 240_000);

  it('is restarted', async () => {
    expect(await agents('restart', agentId)).toMatch(/has shut down[\s\S]*is switched on[\s\S]*healthy at/);
    expect(await agent()).toMatchObject({ status: 'running', health: 'healthy' });
  }, 60_000);

  it('is configured again, on the same server', async () => {
    const told = await agents('reconfigure', agentId);
    expect(told).toMatch(/configuration \(Command\): done[\s\S]*reconfigure succeeded/);
    expect(told).not.toContain('(Server)');
    expect(await agent()).toMatchObject({ status: 'running', serverId: first.serverId });
  }, 240_000);

  it('is resized: the same server and disk, of another type', async () => {
    await agents('resize', agentId, '--plan', 'pro');
    expect(await agent()).toMatchObject({ status: 'running', plan: 'pro', serverId: first.serverId });
    expect(await serverOf(first.serverId!)).toMatchObject({
      server_type: { name: 'cx33' },
      primary_disk_size: 40,
    });
    await expectUnchanged('preview');
  }, 240_000);

  it('is rebuilt: the same server and address, another device', async () => {
    const [before] = await devices();
    await agents('rebuild', agentId, '--yes');
    const after = await agent();
    expect(after).toMatchObject({ status: 'running', serverId: first.serverId, ipv4: first.ipv4 });
    expect(await getHoldings(installation.connection, agentId)).toMatchObject({
      servers: [stack],
      devices: [stack],
    });
    const [device] = await devices();
    expect(device!.id).not.toBe(before!.id);
    expect(device!.addresses).toContain(after.tailnetIp);
    expect(await stackOutputs()).toMatchObject({ tailnetIp: after.tailnetIp });
    await expectUnchanged('preview', 'refresh');
  }, 120_000);

  it('is matched to its server despite missing labels: labels and firewall are put back, and no rebuild is advised', async () => {
    const { labels, public_net } = await serverOf(first.serverId!);
    await hetzner('PUT', `/servers/${first.serverId}`, { labels: { backup: 'nightly' } });
    const [firewall] = public_net.firewalls;
    await hetzner('POST', `/firewalls/${firewall!.id}/actions/remove_from_resources`, {
      remove_from: [{ type: 'server', server: { id: Number(first.serverId) } }],
    });
    const told = await agents('reconfigure', agentId);
    expect(told).toContain('had lost its labels: put back');
    expect(told).toContain(`was not under the firewall ${firewall!.id}: put back`);
    expect(await serverOf(first.serverId!)).toMatchObject({
      labels: { ...labels, backup: 'nightly' },
      public_net: { firewalls: public_net.firewalls },
    });
    await agents('refresh', agentId);
    await expectUnchanged('preview');
    expect(await agent()).toMatchObject({ status: 'running', health: 'healthy', serverId: first.serverId });
  }, 120_000);

  it('is not rebuilt while its server is protected, and keeps running', async () => {
    const protect = (on: boolean) =>
      hetzner('POST', `/servers/${first.serverId}/actions/change_protection`, { delete: on, rebuild: on });
    await protect(true);
    const before = await agent();
    const { code, stdout } = await installation.agents('rebuild', agentId, '--yes', '--wait');
    expect(code).not.toBe(0);
    expect(stdout).toContain('protected at Hetzner');
    const [operation] = (await installation.ask(`/api/agents/${agentId}/operations`)).body.items;
    expect(operation).toMatchObject({ kind: 'rebuild', status: 'failed', retryCount: 1 });
    expect((await serverOf(first.serverId!)).status).toBe('running');
    await agents('refresh', agentId);
    const { tailnetIp } = before;
    expect(await agent()).toMatchObject({ status: 'running', health: 'healthy', tailnetIp });
    await protect(false);
  }, 120_000);

  const kept = () => ({ installation, agentId, agents, expectUnchanged });
  testSnapshots(kept);

  it('is gone without a trace in the end', async () => {
    await agents('destroy', agentId, '--yes');
    expect(await getHoldings(installation.connection, agentId)).toEqual({
      servers: [],
      sshKeys: [],
      tailnetKeys: [],
      devices: [],
    });
  }, 240_000);

  testLastSnapshot(kept);
});

/** The outputs in the state, as `pulumi stack output` shows them. */
async function stackOutputs(): Promise<Record<string, unknown>> {
  const [row] = await installation.query(
    'select data from pulumi_state where key like $1',
    [`%/stacks/agents/${stack}.json`],
    'pulumi',
  );
  const { checkpoint } = JSON.parse(Buffer.from(row.data.data, 'base64').toString());
  return checkpoint.latest.resources.find(({ type }: { type: string }) => type === 'pulumi:pulumi:Stack')
    .outputs;
}

async function devices(): Promise<{ id: string; addresses: string[] }[]> {
  const { tailscaleBaseUrl, tailscaleApiKey } = installation.connection;
  const response = await fetch(`${tailscaleBaseUrl}/api/v2/tailnet/-/devices`, {
    headers: { authorization: `Bearer ${tailscaleApiKey}` },
  });
  const { devices } = (await response.json()) as {
    devices: { id: string; name: string; addresses: string[] }[];
  };
  return devices.filter(({ name }) => name.split('.')[0] === stack);
}
