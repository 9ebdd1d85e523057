import { agentStack } from './agent.ts';
import { foundationStack } from './foundation.ts';
import type { AgentInputs, AgentSecrets, FoundationInputs, FoundResources, KnownDevice } from './inputs.ts';

/**
 * All inputs of a stack's program as one value. The worker passes it directly; the plain CLI reads it from
 * the environment.
 */
export type StackProgram =
  | AgentProgram
  | { stack: 'foundation'; inputs: FoundationInputs; found?: { firewallId?: string } };

export interface AgentProgram {
  stack: 'agent';
  inputs: AgentInputs;
  secrets: AgentSecrets;
  found?: FoundResources;
  /** The recorded device; unset if there is none yet, or if the server is about to join as a new device. */
  device?: KnownDevice | undefined;
  /** The snapshot that a new server's disk is made from, when an agent wakes; default: the inputs' image. */
  restoredFrom?: string;
  /** What has to survive of the agent, as labels of its SSH key if that is created. */
  record?: Record<string, string> | undefined;
}

/**
 * Creates the Pulumi program of a stack. `tellUserData` receives the server's user data, which contains
 * secrets and is therefore not an output.
 */
export function createProgram(
  program: StackProgram,
  tellUserData?: (userData: string) => void,
): () => Promise<Record<string, unknown>> {
  return async () => {
    switch (program.stack) {
      case 'agent':
        return { ...agentStack(program.inputs, program.secrets, { ...program, tellUserData }) };
      case 'foundation':
        return { ...foundationStack(program.inputs, program.found) };
    }
  };
}
