import { MANAGED, readLabels } from '../../../stacks/labels.ts';
import type { ServerDescription } from '../../hetzner/hetzner.ts';

/** What the playbook is for. Hetzner says what the disk was made from; the server itself is asked later. */
const SYSTEMS = ['debian 12', 'debian 13', 'ubuntu 24.04'];

/**
 * Why a server cannot become an agent's; empty: it can. What is left of it must be what an agent's stack
 * declares, so that no preview wants to change it, and what else reaches it must not reach agents.
 */
export function whyUnfit(
  server: ServerDescription,
  { ignoringFirewall }: { ignoringFirewall?: number } = {},
): string[] {
  const { agentId, operationId } = readLabels(server.labels);
  const [managed] = Object.keys(MANAGED) as [keyof typeof MANAGED];
  const manager = server.labels[managed];
  const firewalls = server.firewallIds.filter((id) => id !== ignoringFirewall);
  const reasons: [boolean, string][] = [
    [agentId !== null, `its label agent-id says that it is ${agentId}'s`],
    [operationId !== null, 'it has the label operation-id, which this service sets'],
    [manager !== undefined, `its label ${managed} says that ${manager} manages it`],
    [server.status !== 'running', `it is ${server.status}, not running`],
    [server.isLocked, 'another action on it is under way at Hetzner'],
    [server.isInRescue, 'it would boot its rescue system'],
    [server.hasIso, 'it has an ISO image attached'],
    [server.ipv4 === null, 'it has no public IPv4 address, over which it could be let in'],
    [
      server.privateNetworks > 0,
      'it is in a private network, where others could reach it beside the tailnet',
    ],
    [server.isInPlacementGroup, 'it is in a placement group, which an agent’s stack has none of'],
    [
      firewalls.length > 0,
      `it is under the firewall ${firewalls.join(', ')}: take it off, the agents’ own takes its place`,
    ],
    [
      server.system !== undefined && !SYSTEMS.includes(server.system),
      `it was made from ${server.system}; agents run on ${SYSTEMS.join(', ')}`,
    ],
  ];
  return [...reasons.flatMap(([applies, reason]) => (applies ? [reason] : [])), ...whyAttached(server)];
}

/**
 * What is attached to a server that no agent's stack has: a destroy would leave it behind, billed, and a
 * rebuild would leave it unused. Its owner may attach it at any time.
 */
export function whyAttached({
  volumes,
  floatingIps,
  loadBalancers,
}: Pick<ServerDescription, 'volumes' | 'floatingIps' | 'loadBalancers'>): string[] {
  return [
    ...volumes.map((id) => `the volume ${id} is attached to it: unmount and detach it first`),
    ...floatingIps.map((id) => `the floating IP ${id} is assigned to it: unassign it first`),
    ...loadBalancers.map((id) => `the load balancer ${id} has it as a target: remove it there first`),
  ];
}
