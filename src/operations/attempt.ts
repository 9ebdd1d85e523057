import type { WorkedAgent } from '../agents/for-operation.ts';
import type { AgentOutputs } from '../agents/outputs.ts';
import type { Lease } from '../processes/lease.ts';
import type { TellResources } from '../pulumi/engine/stack-engine.ts';
import type { Secret } from '../secret.ts';
import type { ReportSpan } from '../telemetry/span.ts';
import type { OperationRow } from './rows.ts';

/** One attempt at one operation, as its runbook sees it. */
export interface Attempt {
  operation: OperationRow;
  agent: WorkedAgent;
  /** Aborts when the attempt is cancelled, lost or over its time limit; the reason is one of our errors. */
  signal: AbortSignal;
  lease: Lease;
  /** This attempt's own login to the Pulumi state. It stops working once another attempt begins. */
  backendUrl: Secret;
  /** Enters a step. Entering the current one again does nothing. */
  step(name: string): void;
  log(line: string): void;
  /** Records in detail what takes time; absent unless traces are collected. */
  span?: ReportSpan | undefined;
  /** Records what an engine run found of the agent's stack. */
  foundResources?: TellResources | undefined;
}

/** The change that a success makes to the agent's row. Plain data, because a runner may send it over HTTP. */
export type AgentEffect = { kind: string; outputs?: AgentOutputs; [more: string]: unknown };

/** There was nothing to do: the agent's row stays as it is. */
export type NoEffect = { kind: 'none' };

/** Carries out an operation from top to bottom and returns its effect on the agent's row. */
export type Runbook<Effect extends AgentEffect = AgentEffect> = (run: Attempt) => Promise<Effect | NoEffect>;

/** Runbooks by kind of operation. */
export type Runbooks = Record<string, Runbook>;
