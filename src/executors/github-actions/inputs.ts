import { z } from 'zod';
import { type AgentInputs, agentInputsSchema } from '../../../stacks/agent-inputs.ts';
import { toServerName } from '../../../stacks/inputs.ts';
import type { AgentRow } from '../../agents/store.ts';
import { InvalidInputError } from '../../errors.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { findOperation } from '../../operations/registry.ts';

/** A stack's inputs as a runner sends them: all fields are required, and no others allowed. */
export const reportedInputsSchema = z.strictObject(agentInputsSchema.shape);

/**
 * Checks that a stack's inputs belong to the agent whose row will contain them.
 * @throws InvalidInputError that names the wrong field
 */
export function refuseForeignInputs(inputs: AgentInputs, operation: OperationRow, agent: AgentRow): void {
  const known = agent.inputs;
  const own: Partial<AgentInputs> = {
    agentId: agent.agent_id,
    operationId: findOperation(operation.kind)?.createsAgent
      ? operation.operation_id
      : (known?.operationId ?? ''),
    project: agent.project,
    location: agent.location,
  };
  if (known !== null && toServerName({ agentId: agent.agent_id, ...known }) !== toServerName(inputs))
    throw new InvalidInputError('inputs.serverName is not the recorded one');
  for (const [field, value] of Object.entries(own))
    if (inputs[field as keyof typeof inputs] !== value)
      throw new InvalidInputError(`inputs.${field} does not match this job's agent`);
  const generation = known?.keyGeneration ?? 1;
  if (inputs.keyGeneration < generation)
    throw new InvalidInputError('inputs.keyGeneration is lower than the recorded one');
  // Clean-up checks each generation up to the recorded one, so the number must not jump.
  if (inputs.keyGeneration > generation + 1)
    throw new InvalidInputError('inputs.keyGeneration is not the next one');
}
