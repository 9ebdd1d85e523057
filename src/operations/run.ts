import type { AgentRow } from '../agents/store.ts';
import type { Secret } from '../secret.ts';
import type { OperationRow } from './claims.ts';
import type { AgentEffect } from './effects.ts';
import type { Lease } from './lease.ts';

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
