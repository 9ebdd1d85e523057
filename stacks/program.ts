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
  /** Set where the server is about to be installed anew: its device is not looked up, this one is taken for granted. */
  device?: KnownDevice;
}

/**
 * The Pulumi program for one stack: resources in, outputs out. `tellUserData` hears what a server that is about to be installed anew is to
 * be told; it is no output, since it holds secrets.
 */
export function createProgram(
  program: StackProgram,
  tellUserData: (userData: string) => void = () => {},
): () => Promise<Record<string, unknown>> {
  return async () => {
    switch (program.stack) {
      case 'agent':
        return { ...agentStack(program.inputs, program.secrets, optionsOf(program, tellUserData)) };
      case 'foundation':
        return { ...foundationStack(program.inputs, program.found) };
    }
  };
}

function optionsOf({ found, device }: AgentProgram, tell: (userData: string) => void) {
  return { found, renewal: device && { device, tell } };
}
