import type { AgentInputs, FoundResources } from '../../../stacks/inputs.ts';
import { completeInputs } from '../../agents/inputs.ts';
import type { AgentKeys, Vault } from '../../agents/secrets.ts';
import type { Attempt } from '../../operations/attempt.ts';

/** The inputs and keys that were recorded before the agent's server was created. */
export function recorded(vault: Vault, { agent }: Attempt): { known: AgentInputs; keys: AgentKeys } {
  if (agent.inputs === null || agent.secrets === null)
    throw new Error(`Agent ${agent.agent_id} has a server, but no recorded inputs or keys`);
  return {
    known: completeInputs(agent.agent_id, agent.inputs),
    keys: vault.open(agent.agent_id, agent.secrets),
  };
}

export function toProgram(inputs: AgentInputs, keys: AgentKeys, found: FoundResources) {
  return { stack: 'agent' as const, inputs, secrets: { hostPrivateKey: keys.hostPrivateKey }, found };
}
