import type { StackProgram } from '../../../stacks/program.ts';

/** One run of the Pulumi engine on one stack. */
export interface StackTask {
  /** `renew-key`: an `up` of the tailnet key alone. */
  verb: 'up' | 'renew-key' | 'refresh' | 'destroy' | 'unlock';
  stackName: string;
  program: StackProgram;
  /** Whether the stack may not be there yet, so that it has to be made first. */
  mayBeNew: boolean;
  /** Credentials, the backend, what the configuration script reads: reaches the CLI, the plugins and their children. */
  environment: Record<string, string>;
}

/** What a run tells while it goes on. */
export type Progress =
  | { kind: 'resource'; phase: 'begins' | 'done' | 'failed'; operation: string; type: string; name: string }
  | { kind: 'diagnostic'; severity: string; message: string };

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
