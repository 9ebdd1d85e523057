import { expect, it } from 'vitest';
import { expectNoChanges } from '../../support/clean-stack.ts';
import { createFleet } from '../../support/fleet.ts';
import type { Installation } from '../../support/installation.ts';

export function testVanishedDevice(get: () => Installation): void {
  it('an agent whose device was removed while it was hibernated wakes as a new device of its name', async () => {
    const installation = get();
    const fleet = createFleet(installation);
    const agentId = await fleet.buy('vanished');
    const before = await installation.untilAgent(agentId, 'running', 90);
    const hold = (verb: 'hold' | 'release') =>
      installation.ask(`/api/agents/${agentId}/${verb}`, { json: { reason: 'operator' } });
    await hold('hold');
    await installation.untilAgent(agentId, 'suspended', 90);
    await fleet.succeed(agentId, 'hibernate');

    const [device] = await fleet.devicesOf(agentId);
    await fleet.tailscale('DELETE', `/device/${device!.nodeId}`);
    expect(await fleet.devicesOf(agentId)).toEqual([]);
    await hold('release');
    const after = await installation.untilAgent(agentId, 'running', 120);

    expect(after).toMatchObject({ tailnetName: before.tailnetName, health: 'healthy', error: null });
    expect(after.tailnetIp).not.toBe(before.tailnetIp);
    const now = await fleet.devicesOf(agentId);
    expect(now).toMatchObject([{ name: before.tailnetName, tags: ['tag:agent'] }]);
    expect(now[0]!.addresses).toContain(after.tailnetIp);
    expect(await fleet.serversOf(agentId)).toEqual([after.serverId]);
    await expectNoChanges(installation, agentId);
    await expectNoChanges(installation, agentId, 'refresh');
  }, 400_000);
}
