import type { AgentOutputs } from '../agents/outputs.ts';
import type { AgentRow } from '../agents/store.ts';
import type { Lease } from '../processes/lease.ts';
import type { Secret } from '../secret.ts';
import type { OperationRow } from './rows.ts';

/** One attempt at one operation, as its runbook sees it. */
export interface Attempt {
  operation: OperationRow;
  agent: AgentRow;
  /** Aborts with the reason as one of our errors: cancelled, lost, beyond its limit. */
  signal: AbortSignal;
  lease: Lease;
  /** This attempt's own login to Pulumi's state; it is closed when another attempt begins. */
  backendUrl: Secret;
  /** Enters a step; repeating the present one does nothing. */
  step(name: string): void;
  log(line: string): void;
}

/**
 * What an operation's success means for its agent's row. It is data: a runner may report it from another
 * machine.
 */
export type AgentEffect = { kind: string; outputs?: AgentOutputs; [more: string]: unknown };

/** There was nothing to do, and the agent's row stays as it is. */
export type NoEffect = { kind: 'none' };

/** What an operation does, told top to bottom. It returns what its success means for the agent's row. */
export type Runbook<Effect extends AgentEffect = AgentEffect> = (run: Attempt) => Promise<Effect | NoEffect>;

/** Runbooks by kind of operation. */
export type Runbooks = Record<string, Runbook>;
