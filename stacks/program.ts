import { agentStack } from './agent.ts';
import { foundationStack } from './foundation.ts';
import type { AgentInputs, AgentSecrets, FoundationInputs, FoundResources, KnownDevice } from './inputs.ts';

/**
 * All input of a stack's program as one value: the worker passes it, the plain CLI reads it from the
 * environment.
 */
export type StackProgram =
  | AgentProgram
  | { stack: 'foundation'; inputs: FoundationInputs; found?: { firewallId?: string } };

export interface AgentProgram {
  stack: 'agent';
  inputs: AgentInputs;
  secrets: AgentSecrets;
  found?: FoundResources;
  /** The recorded device; unset while there is none, or where the server is about to join as another. */
  device?: KnownDevice | undefined;
}

/**
 * The Pulumi program of a stack. `tellUserData` receives the server's user data, which is no output, since it
 * holds secrets.
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
