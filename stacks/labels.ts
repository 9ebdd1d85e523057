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
const REASON = 'made-for';
/** The label that names the tailnet device whose identity is on a snapshot's disk. */
const DEVICE = 'tailnet-node';
/** The label that proves whose disk it is (src/agents/snapshot-seal.ts). */
const SEAL = 'agent-snapshot-seal';
/** @see https://docs.hetzner.cloud/reference/cloud#labels */
const LABEL_VALUE = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

/** What an agent's snapshot says of itself: after the loss of the database its row is made of it again. */
export interface SnapshotFacts {
  snapshotId: string;
  why: string;
  tailnetNodeId: string | null;
}

/** Returns the labels of an agent's snapshot. */
export function toAgentSnapshotLabels(
  owner: Owner,
  { snapshotId, why, tailnetNodeId }: SnapshotFacts,
): Record<string, string> {
  const device = LABEL_VALUE.test(tailnetNodeId ?? '') ? { [DEVICE]: tailnetNodeId! } : {};
  return { ...toLabels(owner), [AGENT_SNAPSHOT]: snapshotId, [REASON]: why, ...device };
}

/** Returns an agent's snapshot's labels as they should be; what else people have set stays. */
export function correctAgentSnapshotLabels(
  { [DEVICE]: _, ...labels }: Readonly<Record<string, string>>,
  owner: Owner,
  facts: SnapshotFacts,
): Record<string, string> {
  return { ...labels, ...toAgentSnapshotLabels(owner, facts) };
}

/** Reads the id of an agent's snapshot from its labels. */
export const readAgentSnapshot = (labels: Record<string, string>): string | null =>
  labels[AGENT_SNAPSHOT] || null;

/** Reads why an agent's snapshot was made from its labels. */
export const readReason = (labels: Record<string, string>): string | null => labels[REASON] || null;

/** Reads the tailnet device on the disk of an agent's snapshot from its labels. */
export const readDevice = (labels: Record<string, string>): string | null => labels[DEVICE] || null;

/** Reads the proof of whose disk an agent's snapshot holds from its labels. */
export const readSeal = (labels: Record<string, string>): string | null => labels[SEAL] || null;

/** Returns the labels with this proof in place of any other. */
export const withSeal = (labels: Readonly<Record<string, string>>, seal: string): Record<string, string> => ({
  ...labels,
  [SEAL]: seal,
});

/** Reads the hibernation that made a snapshot from its labels. */
export const readHibernation = (labels: Record<string, string>): string | null => labels[HIBERNATION] || null;
