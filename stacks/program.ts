import { agentStack } from './agent.ts';
import { foundationStack } from './foundation.ts';
import type { AgentInputs, AgentSecrets, FoundationInputs, FoundResources, KnownDevice } from './inputs.ts';

/** Everything a stack's program is told, as one value: the worker hands it in, the plain CLI gets it through the environment. */
export type StackProgram =
  | AgentProgram
  | { stack: 'foundation'; inputs: FoundationInputs; found?: { firewallId?: string } };

export interface AgentProgram {
  stack: 'agent';
  inputs: AgentInputs;
  secrets: AgentSecrets;
  found?: FoundResources;
  /** The recorded device; unset until there is one, or where the server is about to join as another. */
  device?: KnownDevice | undefined;
}

/**
 * The Pulumi program for one stack: resources in, outputs out. `tellUserData` hears what the server is, or
 * would be, installed with; it is no output, since it holds secrets.
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
