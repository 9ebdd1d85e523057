import { z } from 'zod';
import { type AgentInputs, agentInputsSchema } from '../../stacks/agent-inputs.ts';

/** What an agent's row knows of its stack's inputs. */
export type RecordedInputs = Partial<AgentInputs>;

/**
 * A field that does not hold what it should counts as absent: one odd row must not keep its agent from being
 * destroyed.
 */
const recordedSchema = z.object(
  Object.fromEntries(
    Object.entries(agentInputsSchema.shape).map(([name, field]) => [
      name,
      (field as z.ZodType).optional().catch(undefined),
    ]),
  ),
);

/** The `inputs` of a row; null where nothing has been recorded. */
export function parseRecordedInputs(value: unknown): RecordedInputs | null {
  if (value === null) return null;
  const fields = Object.entries(recordedSchema.parse(value)).filter(([, field]) => field !== undefined);
  return Object.fromEntries(fields);
}

/** All of a stack's inputs. @throws Error that names what the row lacks */
export function completeInputs(agentId: string, recorded: RecordedInputs | null): AgentInputs {
  const parsed = agentInputsSchema.safeParse(recorded ?? {});
  if (parsed.success) return parsed.data;
  const lacking = parsed.error.issues.map(({ path }) => path.join('.')).join(', ');
  throw new Error(`The recorded inputs of agent ${agentId} lack ${lacking}`);
}
