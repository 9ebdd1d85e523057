import { agentName } from '../../../stacks/inputs.ts';
import { isLive, keepsResources } from '../../agents/states.ts';
import { explainDevice, isDeviceFinding } from './devices.ts';
import type { AgentView, CloudView, Finding, Verdict } from './findings.ts';
import { type Resource, toName } from './resources.ts';
import { isIncomplete } from './servers.ts';

const KEEP: Verdict = { action: 'keep' };

/**
 * Finds what does not match between the clouds and the rows, after devices have been attributed to their
 * agents.
 */
export function compare(cloud: CloudView, agents: readonly AgentView[]): Finding[] {
  const byId = new Map(agents.map((agent) => [agent.agentId, agent]));
  const owned = ownResources(cloud.resources, byId);
  const findings: Finding[] = [];
  for (const resource of cloud.resources) {
    const agent = resource.agentId === null ? undefined : byId.get(resource.agentId);
    if (owned.resources.has(resource)) {
      if (
        resource.kind === 'server' &&
        agent !== undefined &&
        !agent.unfinished &&
        isIncomplete(resource, agent)
      )
        findings.push({
          action: 'mend',
          reason: 'server-incomplete',
          agentId: agent.agentId,
          project: resource.project,
          serverId: resource.id,
        });
      continue;
    }
    const verdict = judge(resource, agent, isReplaced(resource, agent, { cloud, owned }));
    if (verdict.action === 'keep') continue;
    if (verdict.action === 'remove')
      findings.push({ ...verdict, agentId: String(resource.agentId), resource });
    else findings.push({ ...verdict, resource });
  }
  return [...findings, ...goneServers(cloud, agents), ...goneSnapshots(cloud, agents)];
}

/**
 * Whether the resource that makes this one superfluous was listed too: the agent's own of its kind, or its
 * server in place of a snapshot. A hibernated agent's server is replaced only by a snapshot of that server,
 * made after it last ran: any other may have run since a wake, and hold what is in no snapshot.
 */
function isReplaced(
  resource: Resource,
  agent: AgentView | undefined,
  { cloud, owned }: { cloud: CloudView; owned: ReturnType<typeof ownResources> },
): boolean {
  const { kind, id, agentId } = resource;
  if (kind === 'server' && agent?.status === 'hibernated')
    return cloud.resources.some((one) => one.kind === 'snapshot' && keepsServer(one, agent, id));
  const replacement = kind === 'snapshot' && agent?.status !== 'hibernated' ? 'server' : kind;
  return owned.kinds.has(ownKey(replacement, agentId));
}

/** Whether this is the agent's recorded snapshot, and what is on the server's disk. */
export function keepsServer(
  snapshot: { id: string; serverId: string | null },
  agent: AgentView,
  serverId: string,
): boolean {
  return snapshot.id === agent.snapshotId && snapshot.serverId === serverId && !agent.isSnapshotOutdated;
}

/**
 * Decides what to do about one resource. `ownListed`: the agent's own resource of this kind, or the one that
 * is kept in its place, was listed too, so this one is superfluous.
 */
export function judge(resource: Resource, agent: AgentView | undefined, ownListed: boolean): Verdict {
  if (agent === undefined) return { action: 'report', reason: 'unknown-agent' };
  if (agent.unfinished || (resource.kind === 'server' && resource.deleting)) return KEEP;
  // The service names each after its agent, and names are unique in a project. Another name means that only
  // the label is ours, and anyone can set a label.
  const labelled = resource.kind !== 'tailnet-key' && resource.kind !== 'device';
  if (labelled && !isOwn(resource, agent) && !isNamed(resource, agent))
    return { action: 'report', reason: 'not-ours' };
  if (agent.status === 'destroyed') return { action: 'remove', reason: 'destroyed' };
  if (agent.status === 'failed') return { action: 'remove', reason: 'rolled-back' };
  if (!keepsResources(agent.status)) return { action: 'report', reason: 'nothing-under-way' };
  return isOwn(resource, agent) ? KEEP : judgeSuperfluous(resource, agent, ownListed);
}

/** Decides about a resource of an agent that has another one of this kind. */
function judgeSuperfluous(resource: Resource, agent: AgentView, ownListed: boolean): Verdict {
  if (resource.kind === 'tailnet-key') return { action: 'remove', reason: 'earlier-attempt' };
  // Anyone can copy labels; the operation's id proves that this service made it for this agent.
  if (resource.kind !== 'device' && resource.operationId !== agent.operationId)
    return { action: 'report', reason: 'not-ours' };
  if (resource.kind === 'server' && agent.status === 'hibernated')
    // One that is on may come from a wake that has failed: the next one takes it over.
    return ownListed && resource.isOff
      ? { action: 'remove', reason: 'hibernated' }
      : { action: 'report', reason: 'half-woken' };
  if (agent.lastBuildFailed || !ownListed) return { action: 'report', reason: 'own-unclear' };
  return { action: 'remove', reason: 'earlier-attempt' };
}

/** Whether it has the agent's name or that of its server: only this service gives those. */
const isNamed = ({ name }: Pick<Resource, 'name'>, { agentId, serverNames }: AgentView): boolean =>
  name === agentName(agentId) || serverNames.includes(name);

/** Whether it is the resource that the agent's row names. */
export function isOwn(resource: Resource, agent: AgentView): boolean {
  switch (resource.kind) {
    case 'server':
      return resource.id === agent.serverId;
    case 'snapshot':
      return resource.id === agent.snapshotId;
    case 'ssh-key':
      // An agent that moved had one of that name in its former project.
      return resource.project === agent.project && isNamed(resource, agent);
    case 'tailnet-key':
      return agent.keyGeneration === null || resource.generation >= agent.keyGeneration;
    case 'device':
      if (agent.nodeId !== null) return resource.id === agent.nodeId;
      return agent.tailnetIp !== null && resource.addresses.includes(agent.tailnetIp);
  }
}

/** Returns the resources that the rows of agents name that keep any. */
function ownResources(resources: readonly Resource[], byId: ReadonlyMap<string, AgentView>) {
  const found = { resources: new Set<Resource>(), kinds: new Set<string>() };
  for (const resource of resources) {
    const agent = byId.get(resource.agentId ?? '');
    if (agent === undefined || !keepsResources(agent.status) || !isOwn(resource, agent)) continue;
    found.resources.add(resource);
    found.kinds.add(ownKey(resource.kind, agent.agentId));
  }
  return found;
}

const ownKey = (kind: Resource['kind'], agentId: string | null) => `${kind} ${agentId}`;

/**
 * Finds live agents whose server is not in the list. This is only a suspicion: a paged list can miss a
 * server.
 */
function goneServers({ resources, listed }: CloudView, agents: readonly AgentView[]): Finding[] {
  const seen = new Set(resources.filter(({ kind }) => kind === 'server').map(({ id }) => id));
  return agents.flatMap((agent): Finding[] => {
    const { agentId, project, serverId, status, unfinished } = agent;
    const range = listed.get(project)?.serverRange ?? null;
    if (range === null) return [];
    if (serverId === null || unfinished || !isLive(status) || seen.has(serverId)) return [];
    const isInRange = Number(serverId) > range.after && Number(serverId) <= range.upTo;
    return isInRange ? [{ action: 'report', reason: 'server-gone', agentId, project, serverId }] : [];
  });
}

/** Finds hibernated agents whose snapshot is not in the list. This is only a suspicion. */
function goneSnapshots({ resources, listed }: CloudView, agents: readonly AgentView[]): Finding[] {
  const seen = new Set(resources.filter(({ kind }) => kind === 'snapshot').map(({ id }) => id));
  return agents.flatMap(({ agentId, project, snapshotId, status, unfinished }): Finding[] =>
    status !== 'hibernated' ||
    snapshotId === null ||
    unfinished ||
    seen.has(snapshotId) ||
    listed.get(project)?.listsAllSnapshots !== true
      ? []
      : [{ action: 'report', reason: 'snapshot-gone', agentId, project, snapshotId }],
  );
}

/** Describes a finding in a sentence. */
export function explain(finding: Finding): string {
  if (finding.reason === 'snapshot-gone')
    return `Snapshot ${finding.snapshotId} of the hibernated agent ${finding.agentId} is no longer at Hetzner: its data is lost`;
  if (finding.reason === 'server-incomplete')
    return `Server ${finding.serverId} of agent ${finding.agentId} has lost its labels or its firewall`;
  if (finding.reason === 'server-gone')
    return `Server ${finding.serverId} of agent ${finding.agentId} is no longer at Hetzner`;
  const name = toName(finding.resource);
  if (isDeviceFinding(finding)) return explainDevice(finding, name);
  const agent = `agent ${finding.resource.agentId}`;
  switch (finding.reason) {
    case 'destroyed':
      return `${name} belongs to ${agent}, which is destroyed`;
    case 'rolled-back':
      return `${name} belongs to ${agent}, which has failed and is rolled back`;
    case 'earlier-attempt':
      return `${name} is left from an earlier attempt on ${agent}`;
    case 'hibernated':
      return `${name} belongs to ${agent}, which is hibernated: a snapshot is kept in its place`;
    case 'half-woken':
      return `${name} belongs to ${agent}, which is hibernated; a wake that has failed may have left it, and the next one takes it over`;
    case 'unknown-agent':
      return `${name} carries our labels, but its owner${finding.resource.agentId === null ? '' : `, ${agent},`} is unknown`;
    case 'nothing-under-way':
      return `${name} belongs to ${agent}, which waits for an operation that does not exist`;
    case 'not-ours':
      return `${name} carries the labels of ${agent}, but its provision did not make it`;
    case 'own-unclear':
      return `${name} is not what the row of ${agent} names, and it is unclear which one is in use`;
  }
}
