import type { AgentStatus } from '../database/vocabulary.ts';

export {
  AGENT_STATUSES,
  AGENT_STEPS,
  type AgentStatus,
  type AgentStep,
  HEALTHS,
  type Health,
} from '../database/vocabulary.ts';

/** `by` names the cause, e.g. the start, the success or the last failure of a kind of operation. */
export interface Edge {
  from: AgentStatus;
  to: AgentStatus;
  by: string;
}

/** Every legal transition of an agent's status, with its cause. `agents/move.ts` rejects any other. */
export const EDGES = [
  { from: 'requested', to: 'provisioning', by: 'provision begins' },
  { from: 'provisioning', to: 'running', by: 'provision succeeds' },
  { from: 'provisioning', to: 'failed', by: 'provision fails for the last time' },
  { from: 'requested', to: 'failed', by: 'provision is cancelled' },
  { from: 'failed', to: 'provisioning', by: 'provision begins' },
  { from: 'running', to: 'stopping', by: 'stop begins' },
  { from: 'stopping', to: 'stopped', by: 'stop succeeds' },
  { from: 'stopping', to: 'running', by: 'stop fails for the last time' },
  { from: 'stopped', to: 'running', by: 'start succeeds' },
  { from: 'stopped', to: 'running', by: 'rebuild succeeds' },
  { from: 'running', to: 'suspended', by: 'suspend succeeds' },
  { from: 'stopped', to: 'suspended', by: 'suspend succeeds' },
  { from: 'suspended', to: 'running', by: 'resume succeeds' },
  { from: 'suspended', to: 'running', by: 'rebuild succeeds' },
  { from: 'suspended', to: 'hibernated', by: 'hibernate succeeds' },
  { from: 'running', to: 'hibernated', by: 'revert succeeds' },
  { from: 'stopped', to: 'hibernated', by: 'revert succeeds' },
  { from: 'hibernated', to: 'running', by: 'wake succeeds' },
  { from: 'requested', to: 'destroying', by: 'destroy is requested' },
  { from: 'provisioning', to: 'destroying', by: 'destroy is requested' },
  { from: 'running', to: 'destroying', by: 'destroy is requested' },
  { from: 'stopping', to: 'destroying', by: 'destroy is requested' },
  { from: 'stopped', to: 'destroying', by: 'destroy is requested' },
  { from: 'suspended', to: 'destroying', by: 'destroy is requested' },
  { from: 'hibernated', to: 'destroying', by: 'destroy is requested' },
  { from: 'failed', to: 'destroying', by: 'destroy is requested' },
  { from: 'destroying', to: 'destroyed', by: 'destroy succeeds' },
] as const satisfies readonly Edge[];
export type EdgeName = (typeof EDGES)[number]['by'];

/** The states in which an agent has a server that is in use. */
export const LIVE_STATUSES = ['running', 'stopping', 'stopped', 'suspended'] as const satisfies AgentStatus[];

export function isLive(status: AgentStatus): boolean {
  return LIVE_STATUSES.some((live) => live === status);
}

/** The states in which an agent keeps its key, its device, and a server or a snapshot of it. */
export const KEPT_STATUSES = [...LIVE_STATUSES, 'hibernated'] as const satisfies AgentStatus[];

export function keepsResources(status: AgentStatus): boolean {
  return KEPT_STATUSES.some((kept) => kept === status);
}

/** Returns the states from which `to` can be reached. */
export function statusesBefore(to: AgentStatus): AgentStatus[] {
  return EDGES.filter((edge) => edge.to === to).map((edge) => edge.from);
}
