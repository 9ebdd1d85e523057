import { z } from 'zod';
import type { AgentInputs } from '../../../stacks/inputs.ts';
import { agentIdSchema } from '../../agents/new-agent.ts';
import type { AgentRow } from '../../agents/store.ts';
import { InvalidInputError } from '../../errors.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { findOperation } from '../../operations/registry.ts';

const name = z.string().regex(/^[a-z0-9](-?[a-z0-9])*$/);
const line = z
  .string()
  .min(1)
  .max(300)
  .regex(/^[\x20-\x7e]*$/, 'is not one line of text');
const publicKey = line.startsWith('ssh-ed25519 ');
const seconds = z.int().min(1).max(86_400);

const fields = {
  agentId: agentIdSchema,
  operationId: z.guid(),
  project: name.max(40),
  location: name.max(40),
  serverType: name.max(40),
  image: line,
  keepDisk: z.boolean().optional(),
  firewallId: z.int().positive(),
  sshPublicKey: publicKey,
  hostPublicKey: publicKey,
  joinName: z
    .string()
    .regex(/^join-[0-9a-f]{32}$/)
    .optional(),
  keyGeneration: z.int().min(1).max(999_999_999),
  healthPort: z.int().min(1).max(65_535),
  configurationVersion: line,
  configuredBy: line.optional(),
  joinTimeoutSeconds: seconds,
  pollInterval: z
    .string()
    .regex(/^\d{1,6}(ms|s)$/)
    .optional(),
  loginServer: z
    .url({ protocol: /^https?$/ })
    .max(300)
    .optional(),
} satisfies Record<keyof AgentInputs, z.ZodType>;

/** A stack's inputs as a runner sends them: all of them, each checked, and nothing besides. */
export const agentInputsSchema = z.strictObject(fields);

/**
 * What a stack is told is of the agent whose row it is written into.
 * @throws InvalidInputError that names what is another's
 */
export function refuseForeignInputs(
  inputs: z.infer<typeof agentInputsSchema>,
  operation: OperationRow,
  agent: AgentRow,
): void {
  const known = agent.inputs as unknown as AgentInputs | null;
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
