/** The tag by which the tailnet's policy knows an agent's device. Only an administrator can change it. */
export const AGENT_TAG = 'tag:agent';

/** The address by which an agent is reached: of a device's addresses, one of each family, the IPv4 one. */
export function chooseAddress(addresses: readonly string[]): string | undefined {
  return addresses.find((address) => address.startsWith('100.')) ?? addresses[0];
}
