import { z } from 'zod';
import { type AgentInputs, agentInputsSchema } from '../../../stacks/agent-inputs.ts';
import type { AgentRow } from '../../agents/store.ts';
import { InvalidInputError } from '../../errors.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { findOperation } from '../../operations/registry.ts';

/** A stack's inputs as a runner sends them: all of them, each checked, and nothing besides. */
export const reportedInputsSchema = z.strictObject(agentInputsSchema.shape);

/**
 * What a stack is told is of the agent whose row it is written into.
 * @throws InvalidInputError that names what is another's
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
  for (const [field, value] of Object.entries(own))
    if (inputs[field as keyof typeof inputs] !== value)
      throw new InvalidInputError(`inputs.${field} is not the agent's of this job`);
  const generation = known?.keyGeneration ?? 1;
  if (inputs.keyGeneration < generation)
    throw new InvalidInputError('inputs.keyGeneration is lower than the recorded one');
  // Whatever is left of an agent is looked for by each of its generations.
  if (inputs.keyGeneration > generation + 1)
    throw new InvalidInputError('inputs.keyGeneration is not the next one');
}
