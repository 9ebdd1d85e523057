import type { AgentRow } from '../agents/store.ts';
import { PermanentError, RetryableError } from '../errors.ts';
import type { Lease } from '../processes/lease.ts';
import type { Secret } from '../secret.ts';
import type { OperationRow } from './claims.ts';
import type { AgentEffect } from './effects.ts';
import { mayBegin, type OperationKind } from './states.ts';

/** One attempt at one operation, as its runbook sees it. */
export interface Run {
  operation: OperationRow;
  agent: AgentRow;
  /** Aborts with the reason as one of our errors: cancelled, lost, beyond its limit. */
  signal: AbortSignal;
  lease: Lease;
  /** This attempt's own way to Pulumi's state; it is closed when another attempt begins. */
  backendUrl: Secret;
  /** Enters a step; repeating the present one does nothing. */
  step(name: string): void;
  log(line: string): void;
}

/** What an operation does, told top to bottom. It returns what its success means for the agent's row. */
export type Runbook = (run: Run) => Promise<AgentEffect>;

export type Runbooks = Partial<Record<OperationKind, Runbook>>;

/** @throws PermanentError where the agent is no longer as it was when the operation was asked for. */
export function runbookFor(
  runbooks: Runbooks,
  { kind }: Pick<OperationRow, 'kind'>,
  { status }: Pick<AgentRow, 'status'>,
): Runbook {
  const runbook = runbooks[kind];
  if (runbook === undefined) throw new RetryableError(`This version cannot carry out a ${kind}`);
  if (!mayBegin(kind, status))
    throw new PermanentError(`The agent is ${status} now: a ${kind} is not possible any more`);
  return runbook;
}
