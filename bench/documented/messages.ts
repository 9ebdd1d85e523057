import type { StackProgram } from '../../stacks/program.ts';

/** Handed to the process at its start. */
export interface DocumentedSettings {
  /** Whose sandbox it works with; set as configuration of the stack, where the documentation's example sets the region. */
  hcloudEndpoint: string;
}

export type ToDocumented =
  | {
      id: number;
      verb: 'provision';
      stackName: string;
      program: StackProgram;
      environment: Record<string, string>;
    }
  | { id: number; verb: 'destroy'; stackName: string };

export type FromDocumented =
  | { type: 'ready' }
  | { type: 'done'; id: number; outputs: Record<string, unknown> }
  | { type: 'failed'; id: number; message: string };
