import type { z } from 'zod';
import type { AgentStatus } from '../agents/states.ts';
import type { AgentRow } from '../agents/store.ts';
import type { Transaction } from '../database/connect.ts';
import type { OperationParameters } from '../database/tables.ts';
import type { Queue } from '../queue/queue.ts';
import type { AgentEffect, NoEffect, Runbook } from './attempt.ts';
import type { RunbookParts } from './runbook-parts.ts';

/** The report of success of a runner that implements the contract alone. */
export interface SuccessReport {
  serverId?: string | undefined;
  serverIp?: string | undefined;
  tailscaleIp?: string | undefined;
}

/** How an operation ended without success, in the transaction that settles it. */
export interface Ending {
  trx: Transaction;
  queue: Queue;
  agentId: string;
  error: string;
  /** The step that failed; undefined after a cancellation. */
  step?: string | undefined;
}

/**
 * Everything known of one kind of operation. Lists, routes, commands, buttons and words are derived from it.
 */
export interface OperationDefinition<Effect extends AgentEffect = AgentEffect> {
  /** Its name in rows, routes, commands and on pages: lower-case letters and hyphens. */
  kind: string;
  /** Its position in every list of kinds. */
  rank: number;
  /** The states of its agent in which a person may ask for it. Absent: only the service itself does. */
  from?: readonly AgentStatus[];
  /** Further states in which an attempt may begin, because an earlier attempt has moved the agent there. */
  resumesFrom?: readonly AgentStatus[];
  /** The states in which a failed or cancelled one may be retried; default: `from`. */
  retryFrom?: readonly AgentStatus[];
  /** It changes how the agent runs, so only one exclusive operation of an agent is unfinished at a time. */
  exclusive?: boolean;
  /** Higher ones are claimed first; default 0, what a person asks for. */
  priority?: number;
  /** An attempt that takes longer is ended and counts as failed. */
  limitSeconds: number;
  /** Its agent exists for it alone: cancelling it before it began is the agent's failure too. */
  createsAgent?: boolean;
  /** It frees what is billed, so a person cannot cancel it. */
  freesResources?: boolean;
  /** Whether it needs a network route to the agent's machine; default true. */
  needsRoute?: boolean;
  /** What a person has to say besides: fields that become the route's body, options and form fields. */
  parameters?: z.ZodObject;

  /** Why these parameters cannot be asked of this agent; undefined where they can. */
  refusal?(agent: AgentRow, parameters: OperationParameters): string | undefined;
  /** What asking for it means for its agent, before its row is inserted. */
  request?(trx: Transaction, agentId: string): Promise<void>;
  /** What a retry does before the operation is queued again. */
  beforeRetry?(trx: Transaction, agentId: string): Promise<void>;
  /** In this state the service has queued a successor of a failed one: a retry makes that one due now. */
  hastenedIn?: AgentStatus;

  /** What the beginning of an attempt means for its agent. */
  begin?(trx: Transaction, agentId: string): Promise<void>;
  effect: z.ZodType<Effect>;
  /** Writes the effect on the agent's row. @throws ConflictError where the agent's state does not allow it */
  succeed(trx: Transaction, agentId: string, effect: Effect): Promise<void>;
  /**
   * The effect of a success whose runner recorded none.
   * @throws InvalidInputError where the report lacks something
   */
  reported(agentId: string, report: SuccessReport): Effect | NoEffect;
  /** What its last failure means for its agent; default: the error is recorded and the agent is unhealthy. */
  lastFailure?(ending: Ending): Promise<void>;
  /** What a cancellation after it began means; default: it is recorded and the agent's health is unknown. */
  cancel?(ending: Ending): Promise<void>;

  /** What the command line's help says it does. */
  cli?: string;
  /** What the API's document says of its route; default: "Ask for a …". */
  summary?: string;
  /** Whether the list of agents has its button too, or only the agent's own page. */
  isOnList?: boolean;
  /** It cannot be undone, so a person is asked once more. */
  confirm?: {
    /** Completes the command line's question, "Destroy agent a1 … ?". */
    loses: string;
    /** What the dashboard's page says will happen. */
    explain(agentId: string): string;
  };

  run(parts: RunbookParts): Runbook<Effect>;
}
