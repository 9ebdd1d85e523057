import { readAgentSnapshot, readLabels } from '../../../stacks/labels.ts';
import { SERVER_NAME } from '../../agents/server-names.ts';
import type { Server, Snapshot, SshKey } from '../../hetzner/hetzner.ts';
import { isAgentDevice } from '../../runbooks/steps/device.ts';
import type { TailnetDevice, TailnetKeyInfo } from '../../tailscale/tailscale.ts';
import { digestOf } from '../records.ts';

/** A resource at a cloud with this service's labels, and the agent that they name. */
export type Resource = { id: string; name: string; agentId: string | null } & (
  | ServerResource
  | { kind: 'ssh-key'; project: string; operationId: string | null; recordDigest: string }
  | SnapshotResource
  | { kind: 'tailnet-key'; generation: number }
  | { kind: 'device'; hostname: string; addresses: string[] }
);

interface SnapshotResource {
  kind: 'snapshot';
  project: string;
  operationId: string | null;
  /** The server whose disk it holds. */
  serverId: string | null;
  /** The agent's snapshot that its label names. */
  keptAs?: string | null;
}

interface ServerResource {
  kind: 'server';
  /** The Hetzner project that it is in. */
  project: string;
  operationId: string | null;
  deleting: boolean;
  isOff: boolean;
  /**
   * The agent that its label names; `agentId` is that of the row with the server's id, if there is one.
   */
  labelledFor: string | null;
  firewallIds: number[];
}

export type ResourceKind = Resource['kind'];

/** Servers first: a running machine can use its keys and rejoin the tailnet. */
export const REMOVAL_ORDER: readonly ResourceKind[] = [
  'server',
  'snapshot',
  'ssh-key',
  'tailnet-key',
  'device',
];

export function toServer(project: string, { id, name, labels, status, firewallIds }: Server): Resource {
  const { agentId, operationId } = readLabels(labels);
  return {
    kind: 'server',
    project,
    id,
    name,
    agentId,
    operationId,
    deleting: status === 'deleting',
    isOff: status === 'off',
    labelledFor: agentId,
    firewallIds,
  };
}

export function toSshKey(project: string, { id, name, labels }: SshKey): Resource {
  return { kind: 'ssh-key', project, id, name, ...readLabels(labels), recordDigest: digestOf(labels) };
}

export function toSnapshot(project: string, { id, name, labels, serverId }: Snapshot): Resource {
  return {
    kind: 'snapshot',
    project,
    id,
    name,
    serverId,
    keptAs: readAgentSnapshot(labels),
    ...readLabels(labels),
  };
}

/**
 * Recognizes a valid key by the description that the stacks write, since keys have no labels; undefined for
 * any other.
 */
export function toTailnetKey({ id, description, invalid }: TailnetKeyInfo): Resource | undefined {
  const [, name = '', generation] = /^([a-z0-9-]+) (\d+)$/.exec(description ?? '') ?? [];
  const [, agentId = null] = /^agent-([a-z0-9](?:-?[a-z0-9])*)$/.exec(name) ?? [];
  if ((agentId === null && !SERVER_NAME.test(name)) || invalid === true) return undefined;
  return { kind: 'tailnet-key', id, name: description!, agentId, generation: Number(generation) };
}

/**
 * Recognizes a device that joined with one of our keys; undefined for any other. Its hostname proves nothing.
 */
export function toDevice(device: TailnetDevice): Resource | undefined {
  if (!isAgentDevice(device)) return undefined;
  const { nodeId: id, name, hostname, addresses } = device;
  return { kind: 'device', id, name, agentId: null, hostname, addresses };
}

const KIND_NAMES: Record<ResourceKind, string> = {
  server: 'Server',
  'ssh-key': 'SSH key',
  snapshot: 'Snapshot of',
  'tailnet-key': 'Tailnet key',
  device: 'Tailnet device',
};

/** The server's name that a resource carries; a tailnet key's is followed by its generation. */
export const toCarriedName = ({ kind, name }: Resource): string =>
  kind === 'tailnet-key' ? name.replace(/ \d+$/, '') : name;

/** Returns a name for people: `Server agent-7 (4711)`. */
export function toName({ kind, name, id }: Resource): string {
  return `${KIND_NAMES[kind]} ${name} (${id})`;
}
