import { audit } from '../../agents/audit.ts';
import { recordDevice } from '../../agents/devices.ts';
import { lockAgent } from '../../agents/store.ts';
import type { Database } from '../../database/connect.ts';
import { isImage } from '../../images/images.ts';
import { giveName } from '../../runbooks/steps/device.ts';
import { isSlot } from '../../slots/slots.ts';
import type { TailscaleClient } from '../../tailscale/tailscale.ts';
import { readAgentView } from './agent-views.ts';
import { isOwn } from './compare.ts';
import type { DeviceFinding } from './findings.ts';

export type Adoption = Extract<DeviceFinding, { action: 'adopt' }>;

/** Setting a name, and sometimes getting an access token. */
export const CALLS_PER_ADOPTION = 3;

/**
 * Records the device of an agent from before devices were recorded, and gives it the agent's name. If the
 * process is killed between the two, the next sweep does both again.
 * @returns whether this was still necessary.
 */
export async function adoptDevice(
  { database, tailscale }: { database: Database; tailscale: TailscaleClient },
  { agentId, resource }: Adoption,
): Promise<boolean> {
  if (isSlot(agentId) || isImage(agentId)) return false;
  return database.transaction().execute(async (trx) => {
    await lockAgent(trx, agentId);
    const agent = await readAgentView(trx, agentId);
    if (agent === undefined || agent.unfinished || agent.nodeId !== null || !isOwn(resource, agent))
      return false;
    const { name } = await giveName(tailscale, agentId, { nodeId: resource.id, name: resource.name });
    await recordDevice(trx, agentId, { nodeId: resource.id, tailnetName: name });
    const details = { nodeId: resource.id, name };
    await audit(trx, { actor: 'service', action: 'sweep.device-recorded', agentId, details });
    return true;
  });
}
