import { agentName } from '../../../stacks/inputs.ts';
import type { AgentView, DeviceFinding, DeviceResource, Finding } from './findings.ts';
import type { Resource } from './resources.ts';

/** Devices with their agents, and findings about them. */
export interface Attributed {
  resources: Resource[];
  findings: DeviceFinding[];
}

/**
 * Attributes devices to agents: by the recorded id; by the recorded address if no id is recorded; else by
 * the name under which the device joined, which only the agent's own server knew. Any other hostname is only
 * reported. `joinNames`: agents by join name.
 */
export function attributeDevices(
  resources: readonly Resource[],
  agents: readonly AgentView[],
  joinNames: ReadonlyMap<string, string>,
): Attributed {
  const byNodeId = new Map(agents.flatMap((agent) => (agent.nodeId === null ? [] : [[agent.nodeId, agent]])));
  const byAddress = Map.groupBy(
    agents.filter(({ tailnetIp }) => tailnetIp !== null),
    ({ tailnetIp }) => tailnetIp,
  );
  const findings: DeviceFinding[] = [];
  const attributed = resources.map((resource) => {
    if (resource.kind !== 'device') return resource;
    const sharers = resource.addresses.flatMap((address) => byAddress.get(address) ?? []);
    const [first] = sharers;
    const joinedFor = joinNames.get(resource.hostname);
    // The address of a deleted device can be reassigned: then its new device has joined for another agent.
    const isAt = first?.nodeId === null && (joinedFor === undefined || joinedFor === first.agentId);
    const recorded = byNodeId.get(resource.id) ?? (sharers.length === 1 && isAt ? first : undefined);
    const agentId = recorded?.agentId ?? joinedFor ?? null;
    const known: DeviceResource = { ...resource, agentId };
    findings.push(...findingsOn(known, { recorded, sharers, joinNames }));
    return known;
  });
  return { resources: attributed, findings };
}

function findingsOn(
  resource: DeviceResource,
  {
    recorded,
    sharers,
    joinNames,
  }: { recorded: AgentView | undefined; sharers: AgentView[]; joinNames: ReadonlyMap<string, string> },
): DeviceFinding[] {
  const findings: DeviceFinding[] = [];
  const [first] = sharers;
  if (first !== undefined && sharers.length > 1) {
    const ids = sharers.map(({ agentId }) => agentId).sort();
    findings.push({ action: 'report', reason: 'address-shared', agentId: ids[0]!, sharers: ids, resource });
  }
  if (recorded === undefined || recorded.unfinished) return findings;
  const { agentId, nodeId } = recorded;
  if (nodeId === null) findings.push({ action: 'adopt', reason: 'unrecorded', agentId, resource });
  const isItsOwn = resource.hostname === agentName(agentId) || joinNames.get(resource.hostname) === agentId;
  if (!isItsOwn) findings.push({ action: 'report', reason: 'renamed', agentId, resource });
  return findings;
}

/** Describes a finding in a sentence. */
export function explainDevice(finding: DeviceFinding, name: string): string {
  const { agentId, resource } = finding;
  switch (finding.reason) {
    case 'unrecorded':
      return `${name} is recorded as the device of agent ${agentId}, by its address`;
    case 'renamed':
      return (
        `${name} of agent ${agentId} calls itself ${JSON.stringify(resource.hostname)}: its hostname was changed on ` +
        'the server. This has no effect; check the server if its customer should not be root there'
      );
    case 'address-shared':
      return (
        `The rows of agents ${finding.sharers.join(' and ')} name the address of ${name}, which is one device: ` +
        'rebuild the one whose server it is not'
      );
  }
}

export const isDeviceFinding = (finding: Finding): finding is DeviceFinding =>
  finding.reason === 'unrecorded' || finding.reason === 'renamed' || finding.reason === 'address-shared';
