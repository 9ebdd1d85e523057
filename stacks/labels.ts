/** The label of everything that this service creates in a Hetzner project. */
export const MANAGED = { 'managed-by': 'agents' } as const;

export interface Owner {
  agentId: string;
  /** The provision that created the resource; unset if unknown. */
  operationId?: string | undefined;
}

/** Returns the labels of an agent's resources. */
export function toLabels({ agentId, operationId }: Owner): Record<string, string> {
  return {
    'agent-id': agentId,
    ...(operationId === undefined ? {} : { 'operation-id': operationId }),
    ...MANAGED,
  };
}

/** Reads a resource's owner from its labels. Anyone with access to the project can change labels. */
export function readLabels(labels: Record<string, string>): {
  agentId: string | null;
  operationId: string | null;
} {
  return { agentId: labels['agent-id'] || null, operationId: labels['operation-id'] || null };
}

/** The label that names the operation that made a snapshot. */
const HIBERNATION = 'hibernation-id';

/** Returns the labels of a snapshot of an agent's server, made by this hibernation. */
export function toSnapshotLabels(owner: Owner, hibernationId: string): Record<string, string> {
  return { ...toLabels(owner), [HIBERNATION]: hibernationId };
}

/** Returns the labels of the snapshot that is an image. */
export function toImageLabels(
  owner: Owner,
  { version, architecture }: { version: string; architecture: string },
): Record<string, string> {
  return { ...toLabels(owner), 'playbook-version': version, architecture };
}

/** The label that names an agent's snapshot: what is kept off its server, beside the server. */
const AGENT_SNAPSHOT = 'agent-snapshot';

/** Returns the labels of an agent's snapshot. `why` is for people in Hetzner's console. */
export function toAgentSnapshotLabels(
  owner: Owner,
  { snapshotId, why }: { snapshotId: string; why: string },
): Record<string, string> {
  return { ...toLabels(owner), [AGENT_SNAPSHOT]: snapshotId, 'made-for': why };
}

/** Reads the id of an agent's snapshot from its labels. */
export const readAgentSnapshot = (labels: Record<string, string>): string | null =>
  labels[AGENT_SNAPSHOT] || null;

/** Reads the hibernation that made a snapshot from its labels. */
export const readHibernation = (labels: Record<string, string>): string | null => labels[HIBERNATION] || null;
