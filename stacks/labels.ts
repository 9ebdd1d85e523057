/** The label that everything carries that this service makes in a Hetzner project. */
export const MANAGED = { 'managed-by': 'agents' } as const;

export interface Owner {
  agentId: string;
  /** The provision that made the resource; unset where it is not known. */
  operationId?: string | undefined;
}

/** The labels of what belongs to one agent. */
export function toLabels({ agentId, operationId }: Owner): Record<string, string> {
  return {
    'agent-id': agentId,
    ...(operationId === undefined ? {} : { 'operation-id': operationId }),
    ...MANAGED,
  };
}

/** Whose resource it is by its labels, which anybody can change. */
export function readLabels(labels: Record<string, string>): {
  agentId: string | null;
  operationId: string | null;
} {
  return { agentId: labels['agent-id'] || null, operationId: labels['operation-id'] || null };
}
