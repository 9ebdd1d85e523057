import { agentStack } from './agent.ts';
import { foundationStack } from './foundation.ts';
import type { AgentInputs, AgentSecrets, FoundationInputs, FoundResources } from './inputs.ts';

/** Everything a stack's program is told, as one value: the worker hands it in, the plain CLI gets it through the environment. */
export type StackProgram =
  | { stack: 'agent'; inputs: AgentInputs; secrets: AgentSecrets; found?: FoundResources }
  | { stack: 'foundation'; inputs: FoundationInputs; found?: { firewallId?: string } };

/** The Pulumi program for one stack: resources in, outputs out. */
export function createProgram(program: StackProgram): () => Promise<Record<string, unknown>> {
  return async () => {
    switch (program.stack) {
      case 'agent':
        return { ...agentStack(program.inputs, program.secrets, program.found) };
      case 'foundation':
        return { ...foundationStack(program.inputs, program.found) };
    }
  };
}
