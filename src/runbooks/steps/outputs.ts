import { type StackOutputs, stackOutputsSchema } from '../../../stacks/outputs.ts';
import { RetryableError } from '../../errors.ts';

/**
 * Checks a stack's outputs: a run that succeeded without one of them has not made what it should.
 * @throws RetryableError that says which are wrong
 */
export function agentOutputs(values: Record<string, unknown>): StackOutputs {
  const parsed = stackOutputsSchema.safeParse(values);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`);
  throw new RetryableError(`The stack's outputs cannot be used: ${problems.join('; ')}`);
}
