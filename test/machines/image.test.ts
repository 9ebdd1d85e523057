import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ImageJson } from '../../src/http/image-json.ts';
import { eventually } from '../support/eventually.ts';
import { type Agent, createFleet, describeWithMachines, type Fleet } from '../support/fleet.ts';
import { type Installation, makeSite, type Site, startInstallation } from '../support/installation.ts';
import { testHibernation } from './image/hibernation.ts';

let site: Site;
let installation: Installation;
let fleet: Fleet;
/** Those whose servers were made from the first image. */
let made: Agent[] = [];

const images = async (): Promise<ImageJson[]> => (await installation.ask('/api/images')).body.items;

/** Builds an image and waits until servers are made from it. */
async function build(): Promise<ImageJson> {
  const { code, stdout, stderr } = await installation.run(['agents', '--', 'image', 'build', '--json']);
  expect(code, stderr).toBe(0);
  const { imageId } = JSON.parse(stdout.slice(stdout.indexOf('{')));
  let image: ImageJson | undefined;
  await eventually(
    'the image is built',
    async () => {
      image = (await images()).find((one) => one.imageId === imageId);
      if (image?.error) throw new Error(image.error);
      return image?.fits;
    },
    { withinSeconds: 300, describe: () => JSON.stringify(image) },
  );
  return image!;
}

/** The image of which the server's disk was made, as the cloud says it. */
async function originOf(serverId: string): Promise<string> {
  const { server } = await fleet.hetzner<{ server: { image: { id: number } } }>(
    'GET',
    `/servers/${serverId}`,
  );
  return String(server.image.id);
}

describeWithMachines('images on real machines', () => {
  beforeAll(async () => {
    // One case waits for servers that never join.
    site = await makeSite({ SANDBOX_MACHINES: 'real', JOIN_SECONDS: '30' });
    installation = await startInstallation(site);
    fleet = createFleet(installation);
  }, 180_000);

  afterAll(async () => {
    await installation?.stop();
    await site?.remove();
  }, 90_000);

  it('a build leaves a snapshot, and no server, device or key', async () => {
    const image = await build();
    expect(image.sizeGb).toBeGreaterThan(0.1);
    const { servers } = await fleet.hetzner<{ servers: object[] }>('GET', '/servers');
    const { ssh_keys: keys } = await fleet.hetzner<{ ssh_keys: object[] }>('GET', '/ssh_keys');
    expect({ servers, keys }).toEqual({ servers: [], keys: [] });
    expect((await fleet.devices()).filter(({ tags }) => tags.includes('tag:agent'))).toEqual([]);
    const { stdout } = await installation.run(['agents', '--', 'image', 'list']);
    expect(stdout).toMatch(new RegExp(`${image.imageId} +available +yes`));
  }, 400_000);

  it('servers made from it share nothing, and only what is the agent’s is set on them', async () => {
    const [image] = await images();
    const ids = await Promise.all([fleet.buy(), fleet.buy()]);
    made = await Promise.all(ids.map((id) => installation.untilAgent(id, 'running', 240)));
    for (const { agentId, serverId, tailnetIp } of made) {
      expect(await originOf(serverId)).toBe(image!.snapshotId);
      expect(await fleet.health(tailnetIp)).toContain(`"agentId": "${agentId}"`);
      const log = await fleet.configureLog(agentId);
      expect(log).toMatch(/progress: agent : Wait until the agent is healthy: ok/);
      expect(log).not.toMatch(/progress: (base : Write|hardening : Write)/);
    }
    const own = (command: string) =>
      Promise.all(made.map(({ serverId }) => fleet.screen(serverId).say(command)));
    for (const identity of [
      'cat /etc/machine-id',
      'cat /etc/ssh/agent_host_ed25519_key.pub',
      'sha256sum /var/lib/tailscale/tailscaled.state',
      'cat /home/ops/.ssh/authorized_keys',
      'hostname',
    ])
      expect(new Set(await own(identity)).size, identity).toBe(2);
    for (const state of await own('systemctl is-system-running --wait')) expect(state).toBe('running');
    for (const ruleset of await own('nft list table inet agent'))
      expect(ruleset.match(/policy \w+/g)).toEqual(['policy drop', 'policy drop', 'policy accept']);
    for (const keys of await own('wc -l </home/ops/.ssh/authorized_keys')) expect(keys.trim()).toBe('1');
    for (const left of await own(
      'ls /etc/agent/image /etc/ssh/ssh_host_rsa_key 2>&1 | grep -v "No such" || true',
    ))
      expect(left).toBe('');
  }, 400_000);

  it('a run of the whole playbook on one of them changes nothing', async () => {
    const { agentId } = made[0]!;
    await fleet.succeed(agentId, 'reconfigure');
    const log = await fleet.configureLog(agentId);
    expect(log).toMatch(/progress: base : Write/);
    expect(log).toMatch(/^agent-\S+ +: ok=\d+ +changed=0 +unreachable=0 +failed=0/m);
  }, 120_000);

  testHibernation(() => ({ installation, fleet, agentId: made[0]!.agentId }));

  it('one that does not boot: orders get servers of the ordinary image, and the operator is told', async () => {
    const [image] = await images();
    const upper = join(site.dataDir, 'machines', 'images', image!.snapshotId!, 'upper');
    // The first process of a system made from it ends at once.
    const programs = join(upper, 'usr', 'lib', 'systemd');
    mkdirSync(programs, { recursive: true });
    rmSync(join(programs, 'systemd'), { force: true });
    writeFileSync(join(programs, 'systemd'), '#!/bin/false\n', { mode: 0o755 });
    // Two of them: one server alone is no evidence against the image.
    const ids = await Promise.all([fleet.buy(), fleet.buy()]);
    for (const agentId of ids) {
      const agent = await installation.untilAgent(agentId, 'running', 500);
      expect(await originOf(agent.serverId)).not.toBe(image!.snapshotId);
      expect(await fleet.operation(agentId)).toMatchObject({ status: 'succeeded', retryCount: 1 });
      expect(await fleet.serversOf(agentId)).toEqual([agent.serverId]);
    }
    const { stdout } = await installation.run(['agents', '--', 'attention']);
    expect(stdout).toContain(`${image!.imageId} is bad: The server did not join the tailnet in time`);
    expect(stdout).toContain('image build');
  }, 600_000);

  it('another build takes its place, and the bad one is removed', async () => {
    const [bad] = await images();
    const image = await build();
    await eventually('only the new one is left', async () => (await images()).length === 1, {
      withinSeconds: 60,
    });
    const { images: snapshots } = await fleet.hetzner<{
      images: { id: number; labels: Record<string, string> }[];
    }>('GET', '/images?type=snapshot');
    const others = snapshots.filter(({ labels }) => labels['agent-id'] !== made[0]!.agentId);
    expect(others.map(({ id }) => String(id))).toEqual([image.snapshotId]);
    expect(bad!.snapshotId).not.toBe(image.snapshotId);
    expect((await installation.run(['agents', '--', 'attention'])).stdout).not.toContain(bad!.imageId);
  }, 400_000);
});
