import type { StackProgram } from '../../../stacks/program.ts';

/** Handed to the process at its start. */
export interface DocumentedSettings {
  /** Whose sandbox it works with; set as configuration of the stack, where the documentation's example sets the region. */
  hcloudEndpoint: string;
}

/**
 * `calls`: what it takes to have a stack. `example`: what the example program for inline programs does, which looks at the clouds with `refresh` before each
 * `up` and `destroy`.
 */
export type Manner = 'calls' | 'example';

export type ToDocumented =
  | {
      id: number;
      verb: 'provision';
      manner: Manner;
      stackName: string;
      program: StackProgram;
      environment: Record<string, string>;
    }
  | { id: number; verb: 'destroy'; manner: Manner; stackName: string };

export type FromDocumented =
  | { type: 'ready' }
  | { type: 'done'; id: number; outputs: Record<string, unknown> }
  | { type: 'failed'; id: number; message: string };
