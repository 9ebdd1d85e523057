import type { z } from 'zod';
import type { AgentStatus } from '../agents/states.ts';
import type { AgentRow } from '../agents/store.ts';
import type { Transaction } from '../database/connect.ts';
import type { OperationParameters } from '../database/tables.ts';
import type { Role } from '../database/vocabulary.ts';
import type { Queue } from '../queue/queue.ts';
import type { AgentEffect, NoEffect, Runbook } from './attempt.ts';
import type { RunbookParts } from './runbook-parts.ts';

/** What a runner reports on success if it implements only the callback contract. */
export interface SuccessReport {
  serverId?: string | undefined;
  serverIp?: string | undefined;
  tailscaleIp?: string | undefined;
  /** The recorded name of the agent's server; unset: it is the agent's. */
  serverName?: string | undefined;
}

/** An operation that ended without success, and the transaction that settles it. */
export interface Ending {
  trx: Transaction;
  queue: Queue;
  agentId: string;
  error: string;
  /** The step that failed; undefined after a cancellation. */
  step?: string | undefined;
}

/** An operation that has succeeded, and the transaction that settles it. */
export interface FollowUp extends Pick<Ending, 'trx' | 'queue' | 'agentId'> {
  operationId: string;
}

/** Everything about one kind of operation. Lists, routes, commands, buttons and texts are derived from it. */
export interface OperationDefinition<Effect extends AgentEffect = AgentEffect> {
  /** Its name in rows, routes, commands and pages: lower-case letters and hyphens. */
  kind: string;
  /** Its position in every list of kinds. */
  rank: number;
  /** The agent statuses in which a person may request it. Absent: only the service queues it. */
  from?: readonly AgentStatus[];
  /** More statuses in which an attempt may begin, because an earlier attempt moved the agent there. */
  resumesFrom?: readonly AgentStatus[];
  /** The agent statuses in which a failed or cancelled one may be retried; default: `from`. */
  retryFrom?: readonly AgentStatus[];
  /** It changes how the agent runs: an agent has at most one unfinished exclusive operation. */
  exclusive?: boolean;
  /** Higher priorities are claimed first; default 0, the priority of requests by people. */
  priority?: number;
  /** An attempt that takes longer is aborted and counts as failed. */
  limitSeconds: number;
  /** It creates its agent: if it is cancelled before it begins, the agent has failed too. */
  createsAgent?: boolean;
  /** It makes a slot's server the agent's, so it cannot be cancelled: the agent runs there already. */
  adopts?: boolean;
  /**
   * It may work while the agent is adopting a server that is still its owner's. Any other kind is refused
   * then: it could delete or reinstall it.
   */
  knowsForeignServers?: boolean;
  /** It frees billed resources, so it cannot be cancelled. */
  freesResources?: boolean;
  /** After its success the agent runs: a person cannot request it while a hold switches the agent off. */
  runsAgent?: boolean;
  /** It removes the agent: a person cannot request it while the agent is protected. */
  removesAgent?: boolean;
  /**
   * It loses data, or takes the agent from its customer: a program that acts for a person may only propose
   * it.
   */
  takesFromCustomer?: boolean;
  /** The least role that may ask for it; default: operator. */
  leastRole?: Role;
  /** It changes what the agent costs: a program may not ask for it at all. */
  changesPrice?: boolean;
  /** The agent's holds demand it. It cannot be cancelled, only become unnecessary. */
  followsHolds?: boolean;
  /** It looks for what it needs before it changes anything: while it waits for that, others overtake it. */
  waitsUntouched?: boolean;
  /** An attempt at work is asked to end once nothing holds the agent any more. */
  endsOnRelease?: boolean;
  /**
   * It waits for Hetzner nearly all the time, and is never urgent: a worker runs one of these beside its
   * slots, so that nothing else waits for it.
   */
  runsBeside?: boolean;
  /** It leaves the agent's disk as it is: it waits for no snapshot that has not begun. */
  leavesDisk?: boolean;
  /** Its parameter `snapshot` names a complete snapshot of the agent: without one it is refused. */
  needsSnapshot?: boolean;
  /** Whether it needs a network route to the agent's machine; default true. */
  needsRoute?: boolean;
  /** Its parameters: the route's body, the command's options and the form's fields. */
  parameters?: z.ZodObject;

  /** Why this agent cannot have these parameters; undefined if it can. */
  refusal?(agent: AgentRow, parameters: OperationParameters): string | undefined;
  /**
   * Updates the agent when the operation is requested, before the operation's row is inserted. With
   * `asksAgain` and wanted by the service, when it has passed its last check: `own` is its id then.
   */
  request?(trx: Transaction, agentId: string, own?: string): Promise<void>;
  /** It cannot be undone: one that the service itself wants has to pass a last check before it begins. */
  asksAgain?: boolean;
  /** Runs before a retry queues the operation again. */
  beforeRetry?(trx: Transaction, agentId: string): Promise<void>;
  /** In this status the service has already queued a successor: a retry makes the successor due now. */
  hastenedIn?: AgentStatus;

  /** Updates the agent when an attempt at the operation `own` begins. */
  begin?(trx: Transaction, agentId: string, own: string): Promise<void>;
  effect: z.ZodType<Effect>;
  /**
   * Writes the effect of the operation `own` to the agent's row.
   * @throws ConflictError if the agent's status does not allow it
   */
  succeed(trx: Transaction, agentId: string, effect: Effect, own: string): Promise<void>;
  /** Queues what has to follow a success, in the same transaction. */
  followUp?(success: FollowUp): Promise<void>;
  /**
   * Derives the effect from a runner's report if the runner recorded none.
   * @throws InvalidInputError if the report is incomplete
   */
  reported(agentId: string, report: SuccessReport): Effect | NoEffect;
  /** Updates the agent after the last failure; default: records the error and marks the agent unhealthy. */
  lastFailure?(ending: Ending): Promise<void>;
  /** Updates the agent after a cancellation; default: records it and sets the agent's health to unknown. */
  cancel?(ending: Ending): Promise<void>;

  /** Its description in the CLI's help. */
  cli?: string;
  /** The summary of its route in the OpenAPI document; default: "Ask for a …". */
  summary?: string;
  /** Whether its button is in the list of agents too, not only on the agent's page. */
  isOnList?: boolean;
  /** Set if it cannot be undone: the CLI and the dashboard ask for confirmation. */
  confirm?: {
    /** Completes the CLI's question "Destroy agent a1 … ?". */
    loses: string;
    /** The dashboard's explanation of what will happen. */
    explain(agentId: string): string;
  };

  run(parts: RunbookParts): Runbook<Effect>;
}
