import { type StackOutputs, stackOutputsSchema } from '../../../stacks/outputs.ts';
import { RetryableError } from '../../errors.ts';

/**
 * Validates a stack's outputs: a run may succeed without creating everything.
 * @throws RetryableError that lists the problems
 */
export function agentOutputs(values: Record<string, unknown>): StackOutputs {
  const parsed = stackOutputsSchema.safeParse(values);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`);
  throw new RetryableError(`Invalid outputs of the stack: ${problems.join('; ')}`);
}
