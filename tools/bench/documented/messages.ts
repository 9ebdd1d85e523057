import type { StackProgram } from '../../../stacks/program.ts';

/** Passed to the process at its start. */
export interface DocumentedSettings {
  /**
   * The sandbox's endpoint, set as stack configuration, where the documentation's example sets the region.
   */
  hcloudEndpoint: string;
  /** Folder for temporary files, removed with the installation. */
  temporary: string;
}

/**
 * `calls`: the minimal calls for a stack. `example`: those of the example program for inline programs, which
 * calls `refresh` before each `up` and `destroy`.
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
