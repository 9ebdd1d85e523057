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
