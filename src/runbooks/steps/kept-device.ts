import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import { findDevice, isExpired, isRecordedDevice, type PresentDevice, presentDevice } from './device.ts';

/**
 * The agent's device, which stays while it is hibernated. Undefined if it was removed or has expired, or if
 * an earlier attempt has begun to join as a new one.
 * @throws PermanentError if it is unknown, or has lost its tag: a new one would join beside it
 */
export async function keptDevice(
  { tailscale }: Pick<RunbookParts, 'tailscale'>,
  attempt: Attempt,
): Promise<PresentDevice | undefined> {
  const { agent } = attempt;
  if (agent.inputs?.hibernated?.joinGeneration !== undefined) return undefined;
  const device = await findDevice(tailscale, agent);
  const isKnown = agent.tailnet_node_id !== null || agent.tailnet_ip !== null;
  if (device === undefined && isKnown) return undefined;
  // Joining as a new one removes the recorded device first.
  if (device !== undefined && isExpired(device, new Date()) && isRecordedDevice(agent, device))
    return undefined;
  return presentDevice(tailscale, attempt);
}
