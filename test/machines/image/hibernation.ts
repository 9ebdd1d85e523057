import { expect, it } from 'vitest';
import { expectNoChanges } from '../../support/clean-stack.ts';
import { eventually } from '../../support/eventually.ts';
import type { Agent, Fleet } from '../../support/fleet.ts';
import type { Installation } from '../../support/installation.ts';

export interface Sleeper {
  installation: Installation;
  fleet: Fleet;
  /** A running agent, which is another server's after each of these tests. */
  agentId: string;
}

interface Image {
  id: number;
  status: string;
  image_size: number;
  created_from: { id: number };
}

/** What Hetzner bills for an agent: its servers, and the sizes of its snapshots. */
async function billed({ fleet, agentId }: Sleeper) {
  const path = `/images?type=snapshot&label_selector=agent-id==${agentId}`;
  const { images } = await fleet.hetzner<{ images: Image[] }>('GET', path);
  return { servers: await fleet.serversOf(agentId), images };
}

/** Pulumi finds the stack as it is recorded, before and after a look at the clouds. */
async function expectTrueStack({ installation, agentId }: Sleeper): Promise<void> {
  await expectNoChanges(installation, agentId);
  await expectNoChanges(installation, agentId, 'refresh');
}

async function changeHold({ installation, agentId }: Sleeper, verb: 'hold' | 'release'): Promise<void> {
  const json = { reason: 'operator' };
  const { status, body } = await installation.ask(`/api/agents/${agentId}/${verb}`, { json });
  expect(status, JSON.stringify(body)).toBe(202);
}

/** Places a hold, which switches it off, and hibernates it. */
async function hibernate(at: Sleeper): Promise<void> {
  await changeHold(at, 'hold');
  await at.installation.untilAgent(at.agentId, 'suspended');
  await at.fleet.succeed(at.agentId, 'hibernate', 240);
}

async function wake(at: Sleeper): Promise<Agent> {
  await changeHold(at, 'release');
  return at.installation.untilAgent(at.agentId, 'running', 240);
}

/** Waits until Hetzner has nothing more of the drill's server. @returns how the drill ended */
async function drill({ installation, agentId }: Sleeper): Promise<{ status: string; error: string | null }> {
  const begun = await installation.ask(`/api/agents/${agentId}/snapshot-drill`, { method: 'POST' });
  expect(begun.status, JSON.stringify(begun.body)).toBe(202);
  const find = async () =>
    (await installation.ask('/api/snapshot-drills')).body.items.find(
      ({ drillId }: { drillId: string }) => drillId === begun.body.drillId,
    );
  await eventually('the drill has ended', async () => (await find()).status !== 'running', {
    withinSeconds: 300,
    describe: installation.terminal,
  });
  return find();
}

/** Declares tests of hibernation, and of an agent's snapshots. */
export function testHibernation(get: () => Sleeper): void {
  it('only a snapshot is billed while it is hibernated; awake again it has its files, its name and its address', async () => {
    const at = get();
    const { fleet, agentId } = at;
    const before = await fleet.agent(agentId);
    await fleet.screen(before.serverId).say('echo written before >/var/lib/kept; sync');

    await hibernate(at);
    const { servers, images } = await billed(at);
    expect(servers).toEqual([]);
    expect(images).toMatchObject([{ status: 'available', created_from: { id: Number(before.serverId) } }]);
    expect(images[0]!.image_size).toBeGreaterThan(0.1);
    expect(await fleet.disks(before.serverId)).toEqual([]);
    expect(await fleet.agent(agentId)).toMatchObject({ status: 'hibernated', serverId: null });
    expect(await fleet.devicesOf(agentId)).toMatchObject([{ name: before.tailnetName }]);
    await expectTrueStack(at);

    const after = await wake(at);
    const { tailnetName, tailnetIp } = before;
    expect(after).toMatchObject({ tailnetName, tailnetIp, health: 'healthy' });
    expect(after.serverId).not.toBe(before.serverId);
    expect(await fleet.screen(after.serverId).say('cat /var/lib/kept')).toBe('written before');
    expect(await fleet.health(after.tailnetIp)).toContain(`"agentId": "${agentId}"`);
    expect(await billed(at)).toEqual({ servers: [after.serverId], images: [] });
    expect(await fleet.devicesOf(agentId)).toMatchObject([{ name: before.tailnetName }]);
  }, 600_000);

  it('woken after its device was removed it has its files and its name, as a new device with new keys', async () => {
    const at = get();
    const { fleet, agentId } = at;
    const before = await fleet.agent(agentId);
    const identity = 'sha256sum /var/lib/tailscale/tailscaled.state';
    const known = await fleet.screen(before.serverId).say(identity);
    await hibernate(at);
    const [device] = await fleet.devicesOf(agentId);
    await fleet.tailscale('DELETE', `/device/${device!.nodeId}`);

    const after = await wake(at);
    expect(after).toMatchObject({ tailnetName: before.tailnetName, health: 'healthy' });
    const screen = fleet.screen(after.serverId);
    expect(await screen.say('cat /var/lib/kept')).toBe('written before');
    expect(await screen.say(identity)).not.toBe(known);
    expect(await screen.say('ls /etc/agent/tailnet-key || echo gone')).toContain('gone');
    expect(await fleet.health(after.tailnetIp)).toContain(`"agentId": "${agentId}"`);
    const now = await fleet.devicesOf(agentId);
    expect(now).toMatchObject([{ name: before.tailnetName }]);
    expect(now[0]!.nodeId).not.toBe(device!.nodeId);
    expect(await billed(at)).toEqual({ servers: [after.serverId], images: [] });
    await expectTrueStack(at);
  }, 600_000);

  it('a snapshot boots closed off with a healthy agent, and brings back a file that was ruined', async () => {
    const at = get();
    const { installation, fleet, agentId } = at;
    const before = await fleet.agent(agentId);
    const screen = fleet.screen(before.serverId);
    await screen.say('echo good >/var/lib/kept; sync');
    const { operationId: snapshot } = await fleet.succeed(agentId, 'snapshot', 240);
    await screen.say('echo ruined >/var/lib/kept; sync');

    const serverIds = async () =>
      (await fleet.hetzner<{ servers: { id: number }[] }>('GET', '/servers')).servers.map(({ id }) => id);
    const bought = await serverIds();
    expect(await drill(at)).toMatchObject({ status: 'succeeded', error: null });
    expect(await serverIds()).toEqual(bought);
    expect(await fleet.devicesOf(agentId)).toHaveLength(1);
    expect(await screen.say('cat /var/lib/kept')).toBe('ruined');

    const asked = await installation.ask(`/api/agents/${agentId}/revert`, { json: { snapshot } });
    expect(asked.status, JSON.stringify(asked.body)).toBe(202);
    await eventually(
      'it runs on another server',
      async () => {
        const { status, serverId } = await fleet.agent(agentId);
        return status === 'running' && serverId !== before.serverId;
      },
      { withinSeconds: 300, describe: installation.terminal },
    );
    const after = await fleet.agent(agentId);
    const { tailnetName, tailnetIp } = before;
    expect(after).toMatchObject({ health: 'healthy', tailnetName, tailnetIp });
    expect(await fleet.screen(after.serverId).say('cat /var/lib/kept')).toBe('good');
    expect(await fleet.health(tailnetIp)).toContain(`"agentId": "${agentId}"`);
    expect((await billed(at)).servers).toEqual([after.serverId]);
    await expectTrueStack(at);
  }, 900_000);
}
