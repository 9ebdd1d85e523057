import type { ColumnType, Generated, GeneratedAlways } from 'kysely';
import type { DefaultTimestamp, Timestamp } from './column-types.ts';
import type { OperationKind } from './vocabulary.ts';

export interface ProposalTables {
  proposals: ProposalTable;
}

/** What a program asks for that a person has to decide. */
export interface ProposalTable {
  proposal_id: Generated<string>;
  sequence: GeneratedAlways<number>;
  agent_id: string;
  kind: OperationKind;
  /** The agent's when it was proposed. */
  agent_status: string;
  /** Why, in the proposer's words. */
  reason: string;
  /** As the audit log names them. */
  proposed_by: string;
  proposed_at: DefaultTimestamp;
  /** Undecided by then, it counts no longer. */
  expires_at: Timestamp;
  /** Null while it is open. */
  decision: ColumnType<'approved' | 'rejected' | null, never, 'approved' | 'rejected'>;
  decided_by: ColumnType<string | null, never, string>;
  decided_at: ColumnType<Date | null, never, Date | string>;
  /** What an approved one led to. */
  operation_id: ColumnType<string | null, never, string>;
}
