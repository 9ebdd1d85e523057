import type { Generated } from 'kysely';
import type { DefaultTimestamp, Json } from './column-types.ts';
import type { AgentStatus, Health } from './vocabulary.ts';

export interface HistoryTables {
  agent_changes: AgentChangeTable;
  stack_resources: StackResourcesTable;
  operation_events: OperationEventTable;
}

/**
 * What an agent's status and health became, and when. Written by a trigger alone; the newest 500 are kept.
 */
export interface AgentChangeTable {
  change_id: Generated<number>;
  agent_id: string;
  status: AgentStatus;
  health: Health;
  at: DefaultTimestamp;
}

/** The resources of an agent's stack, as the last engine run found them (src/agents/stack-resources.ts). */
export interface StackResourcesTable {
  agent_id: string;
  operation_id: string;
  verb: 'up' | 'refresh' | 'destroy';
  resources: Json<readonly unknown[]>;
  at: DefaultTimestamp;
}

export interface OperationEventTable {
  id: Generated<number>;
  operation_id: string;
  sequence: number;
  attempt: number;
  type: 'status' | 'step' | 'log';
  data: Json<Record<string, unknown>>;
  at: DefaultTimestamp;
}
