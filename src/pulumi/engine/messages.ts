import type { StackProgram } from '../../../stacks/program.ts';

/** One run of the Pulumi engine on one stack. */
export type StackTask = StackWork & {
  stackName: string;
  /**
   * Credentials, backend, and what the configuration script reads: for the CLI, the plugins and their
   * children.
   */
  environment: Record<string, string>;
};

/** What the run does; only what creates something needs the stack's program. */
export type StackWork =
  /** `mayBeNew`: the stack may not exist yet and is created first. */
  | { verb: 'up'; program: StackProgram; mayBeNew: boolean }
  /** An `up` of the tailnet key alone. */
  | { verb: 'renew-key'; program: StackProgram }
  | { verb: 'refresh' | 'destroy' | 'unlock' };

/** What a run reports while it goes on. */
export type Progress = ResourceProgress | { kind: 'diagnostic'; severity: string; message: string };

export interface ResourceProgress {
  kind: 'resource';
  phase: 'begins' | 'done' | 'failed';
  operation: string;
  /** The agent's part that it is, if an operation's steps depend on it. */
  part?: 'server' | 'configuration';
  /** As Pulumi names it. */
  type: string;
  name: string;
}

export interface StackResult {
  outputs: Record<string, unknown>;
  /** The user data for a reinstallation; it holds secrets. Of `renew-key` only. */
  userData?: string;
  /** Number of resources by operation, e.g. `{create: 4, same: 1}`. */
  changes: Record<string, number>;
  /** How many processes of the Pulumi CLI the run started. */
  processes: number;
}

export type ToEngine =
  | { type: 'run'; task: StackTask; leaseUntil: number }
  | { type: 'lease'; leaseUntil: number }
  | { type: 'cancel' };

export type FromEngine =
  | { type: 'ready' }
  | { type: 'progress'; progress: Progress }
  | { type: 'done'; result: StackResult }
  | { type: 'failed'; name: string; message: string };
