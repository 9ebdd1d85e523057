import { z } from 'zod';
import { type AgentInputs, agentInputsSchema } from '../../stacks/agent-inputs.ts';

/** The stack inputs that an agent's row holds. */
export type RecordedInputs = Partial<AgentInputs>;

/**
 * Treats an invalid field as absent, and inputs that are no object as empty, so that a corrupt row can block
 * neither the list of agents nor the destroy of its own.
 */
const recordedSchema = z
  .object(
    Object.fromEntries(
      Object.entries(agentInputsSchema.shape).map(([name, field]) => [
        name,
        (field as z.ZodType).optional().catch(undefined),
      ]),
    ),
  )
  .catch({});

/** Parses a row's `inputs`; null if nothing has been recorded. */
export function parseRecordedInputs(value: unknown): RecordedInputs | null {
  if (value === null) return null;
  const fields = Object.entries(recordedSchema.parse(value)).filter(([, field]) => field !== undefined);
  return Object.fromEntries(fields);
}

/** Returns the complete inputs of a stack. @throws Error that names the missing fields */
export function completeInputs(agentId: string, recorded: RecordedInputs | null): AgentInputs {
  const parsed = agentInputsSchema.safeParse(recorded ?? {});
  if (parsed.success) return parsed.data;
  const lacking = parsed.error.issues.map(({ path }) => path.join('.')).join(', ');
  throw new Error(`The recorded inputs of agent ${agentId} lack ${lacking}`);
}
