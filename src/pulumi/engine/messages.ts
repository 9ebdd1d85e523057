import type { StackProgram } from '../../../stacks/program.ts';
import type { ReportedError } from '../../errors.ts';

/** One run of the Pulumi engine on one stack. */
export type StackTask = StackWork & {
  stackName: string;
  /** For the CLI, the plugins and their children: credentials, backend, input of the configuration script. */
  environment: Record<string, string>;
  /** The operation that it is a part of, for the engine's own log lines. */
  operationId?: string | undefined;
  /** What encrypts the secrets of a stack that this run creates; unset: the passphrase. */
  secretsProvider?: string | undefined;
  /** The stack's secrets are first moved to this provider. */
  moveSecretsTo?: string | undefined;
};

/** What the run does. Only runs that create resources need the stack's program. */
export type StackWork =
  /** `mayBeNew`: the stack may not exist yet and is created first. */
  | { verb: 'up'; program: StackProgram; mayBeNew: boolean }
  /** An `up` of the tailnet key alone. */
  | { verb: 'renew-key'; program: StackProgram }
  /** An `up` that may only take what exists into the state. @throws StackDiffersError before it changes it */
  | { verb: 'import'; program: StackProgram }
  | { verb: 'rename'; to: string }
  /** `move`: nothing but what `moveSecretsTo` says. */
  | { verb: 'refresh' | 'destroy' | 'unlock' | 'move' };

/** What a run reports while it is in progress. */
export type Progress = ResourceProgress | { kind: 'diagnostic'; severity: string; message: string };

export interface ResourceProgress {
  kind: 'resource';
  phase: 'begins' | 'done' | 'failed';
  operation: string;
  /** Which part of the agent it is, if an operation's steps depend on it. */
  part?: 'server' | 'configuration';
  /** Pulumi's name of the type. */
  type: string;
  name: string;
}

export interface StackResult {
  outputs: Record<string, unknown>;
  /** The user data for a reinstallation, which holds secrets. Only from `renew-key`. */
  userData?: string;
  /** Number of resources by operation, e.g. `{create: 4, same: 1}`. */
  changes: Record<string, number>;
  /** How many processes of the Pulumi CLI the run started. */
  processes: number;
  /** The stack's resources after the run; unset if the run saw only some of them. */
  resources?: FoundResource[] | undefined;
}

/** A resource of a stack, as an engine run found it. Bounded, without secrets. */
export interface FoundResource {
  name: string;
  /** Pulumi's name of the type. */
  type: string;
  /** The cloud's id. */
  id: string | null;
  /** A refresh did not find it in its cloud any more. */
  isGone: boolean;
  /** What a refresh found to be different from the state; null: the property is not there. */
  drift: { property: string; before: string | null; now: string | null }[];
}

/** A line that an engine process writes to the service's log. */
export interface EngineLine {
  event: string;
  /** The engine process's id. */
  pid: number;
  stackName: string;
  verb: string;
  /** Of the operation, from the context that came with the task. */
  operationId?: string | undefined;
  seconds?: number;
  error?: string;
}

export type ToEngine =
  | { type: 'run'; task: StackTask; leaseUntil: number }
  | { type: 'lease'; leaseUntil: number }
  | { type: 'cancel' };

export type FromEngine =
  /** `pulumiVersion`: for later processes with the same CLI. */
  | { type: 'ready'; pulumiVersion: string | undefined }
  | { type: 'log'; line: EngineLine }
  | { type: 'progress'; progress: Progress }
  | { type: 'done'; result: StackResult }
  | ({ type: 'failed' } & ReportedError);
