import { agentName } from '../../../stacks/inputs.ts';
import type { StackOutputs } from '../../../stacks/outputs.ts';
import { AGENT_TAG, chooseAddress } from '../../../stacks/tailnet.ts';
import type { AgentOutputs } from '../../agents/outputs.ts';
import type { AgentRow } from '../../agents/store.ts';
import { PermanentError, RetryableError } from '../../errors.ts';
import type { Attempt } from '../../operations/attempt.ts';
import { NameTakenError, type TailnetDevice, type TailscaleClient } from '../../tailscale/tailscale.ts';

export const isAgentDevice = ({ tags }: TailnetDevice): boolean => tags?.includes(AGENT_TAG) === true;

/**
 * Whether the device must sign in again before it reaches the tailnet, which a server cannot do by itself.
 */
export function isExpired({ expires, keyExpiryDisabled }: TailnetDevice, now: Date): boolean {
  const until = Date.parse(expires ?? '');
  // Go's zero time, in the year 1, stands for "never".
  return keyExpiryDisabled !== true && until > 0 && until <= now.getTime();
}

type RecordedDevice = Pick<AgentRow, 'tailnet_node_id' | 'tailnet_ip'>;

/**
 * Finds the agent's device by its recorded id, also if it has lost its tag. Older agents have no recorded id
 * and are found by their address, which belongs to one device. Never matches by name: a machine can claim any
 * hostname, including another agent's.
 */
export async function findDevice(
  tailscale: TailscaleClient,
  recorded: RecordedDevice,
): Promise<TailnetDevice | undefined> {
  if (recorded.tailnet_node_id !== null) return tailscale.getDevice(recorded.tailnet_node_id);
  if (recorded.tailnet_ip === null) return undefined;
  const { tailnet_ip: address } = recorded;
  return (await tailscale.listDevices()).find(({ addresses }) => addresses.includes(address));
}

/** Whether this is the device that the agent's row names. */
export function isRecordedDevice(recorded: RecordedDevice, device: TailnetDevice): boolean {
  if (recorded.tailnet_node_id !== null) return device.nodeId === recorded.tailnet_node_id;
  const { tailnet_ip: address } = recorded;
  return address !== null && isAgentDevice(device) && device.addresses.includes(address);
}

function deviceAt(devices: readonly TailnetDevice[], address: string): TailnetDevice | undefined {
  return devices.find((device) => isAgentDevice(device) && device.addresses.includes(address));
}

/** A live agent's current device. */
export interface PresentDevice {
  nodeId: string;
  tailnetIp: string;
  tailnetName: string;
}

/** The control server has no device that is known to be the agent's. */
export class DeviceMissingError extends PermanentError {
  override name = 'DeviceMissingError';
}

/** @throws DeviceMissingError if the device is unknown, was deleted or has lost its tag */
export async function presentDevice(tailscale: TailscaleClient, run: Attempt): Promise<PresentDevice> {
  if (run.agent.tailnet_node_id === null && run.agent.tailnet_ip === null)
    throw new DeviceMissingError(
      "The agent's tailnet device is unknown: another agent's row has the same address (see the sweep's reports)",
    );
  const device = await findDevice(tailscale, run.agent);
  const tailnetIp = device === undefined ? undefined : chooseAddress(device.addresses);
  if (device === undefined || tailnetIp === undefined)
    throw new DeviceMissingError('The server is no longer on the tailnet; a rebuild lets it in again');
  if (!isAgentDevice(device))
    throw new DeviceMissingError(
      `The tailnet device ${device.name} no longer has ${AGENT_TAG}: restore the tag in Tailscale's console`,
    );
  return { nodeId: device.nodeId, tailnetIp, tailnetName: await ensureName(tailscale, run, device) };
}

/**
 * Finds the device that the stack has just configured. Ansible has verified by the host key that this address
 * is the agent's own server, and an address belongs to one device. Its id identifies the device from now on.
 */
export async function identify(
  tailscale: TailscaleClient,
  run: Attempt,
  outputs: StackOutputs,
): Promise<AgentOutputs> {
  const device = deviceAt(await tailscale.listDevices(), outputs.tailnetIp);
  if (device === undefined)
    throw new RetryableError(`No tagged device has the address ${outputs.tailnetIp} any more`);
  const tailnetName = await giveNameAndLog(tailscale, run, device);
  return { ...outputs, tailnetName, tailnetNodeId: device.nodeId };
}

/** A recorded device already has its name and keeps it, even if its machine claims another hostname. */
async function ensureName(tailscale: TailscaleClient, run: Attempt, device: TailnetDevice): Promise<string> {
  const { agent_id: agentId, tailnet_node_id: recorded } = run.agent;
  const label = device.name.split('.')[0] ?? '';
  const isNamed = label === agentName(agentId) || label === longerName(agentId, device);
  return recorded !== null && isNamed ? device.name : giveNameAndLog(tailscale, run, device);
}

async function giveNameAndLog(
  tailscale: TailscaleClient,
  run: Attempt,
  device: TailnetDevice,
): Promise<string> {
  const { agent_id: agentId } = run.agent;
  const { name, isTaken } = await giveName(tailscale, agentId, device);
  if (isTaken)
    run.log(`another device on the tailnet has the name ${agentName(agentId)}: using ${name} instead`);
  return name;
}

type Nameable = Pick<TailnetDevice, 'nodeId' | 'name'>;

/**
 * Gives a device the agent's name, which its machine cannot change, or a longer one if another device has
 * that name.
 * @returns the full name, and whether the shorter one was taken
 */
export async function giveName(
  tailscale: Pick<TailscaleClient, 'setDeviceName'>,
  agentId: string,
  device: Nameable,
): Promise<{ name: string; isTaken: boolean }> {
  const domain = device.name.split('.').slice(1);
  const give = async (label: string) => {
    await tailscale.setDeviceName(device.nodeId, label);
    return [label, ...domain].join('.');
  };
  try {
    return { name: await give(agentName(agentId)), isTaken: false };
  } catch (error) {
    if (!(error instanceof NameTakenError)) throw error;
    return { name: await give(longerName(agentId, device)), isTaken: true };
  }
}

function longerName(agentId: string, { nodeId }: Nameable): string {
  const suffix = nodeId.toLowerCase().replace(/[^a-z0-9]/g, '');
  return `${agentName(agentId)}-${suffix.slice(0, 12)}`;
}
