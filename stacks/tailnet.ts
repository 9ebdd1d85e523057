/** The tag that identifies agents' devices in the tailnet's policy. Only an administrator can change it. */
export const AGENT_TAG = 'tag:agent';

/** Chooses the address at which to reach an agent. A device has one of each family; prefers IPv4. */
export function chooseAddress(addresses: readonly string[]): string | undefined {
  return addresses.find((address) => address.startsWith('100.')) ?? addresses[0];
}
