import type { StackProgram } from '../../../stacks/program.ts';

/** One run of the Pulumi engine on one stack. */
export type StackTask = StackWork & {
  stackName: string;
  /** Credentials, backend, and what the configuration script reads: for the CLI, the plugins and their children. */
  environment: Record<string, string>;
};

/** What the run does; only what creates something needs the stack's program. */
export type StackWork =
  /** `mayBeNew`: the stack may not exist yet and is created first. */
  | { verb: 'up'; program: StackProgram; mayBeNew: boolean }
  /** An `up` of the tailnet key alone. */
  | { verb: 'renew-key'; program: StackProgram }
  | { verb: 'refresh' | 'destroy' | 'unlock' };

/** What a run tells while it goes on. */
export type Progress = ResourceProgress | { kind: 'diagnostic'; severity: string; message: string };

export interface ResourceProgress {
  kind: 'resource';
  phase: 'begins' | 'done' | 'failed';
  operation: string;
  /** What of an agent it is, where an operation's steps follow it. */
  part?: 'server' | 'configuration';
  /** As Pulumi names it. */
  type: string;
  name: string;
}

export interface StackResult {
  outputs: Record<string, unknown>;
  /** What a server that is about to be installed anew is to be told; it holds secrets. Of `renew-key` only. */
  userData?: string;
  /** Resources by what was done to them, e.g. `{create: 4, same: 1}`. */
  changes: Record<string, number>;
  /** Child processes of the Pulumi CLI that the run took. */
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
