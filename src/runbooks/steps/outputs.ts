import { z } from 'zod';
import { agentOutputsSchema } from '../../agents/outputs.ts';
import type { StackOutputs } from '../../agents/store.ts';
import { RetryableError } from '../../errors.ts';

/** Of its own stack a server always has an IPv4 address. */
const stackOutputs = agentOutputsSchema.extend({ ipv4: z.ipv4('is not an IPv4 address') });

/**
 * A stack's outputs, checked: a run that succeeded without one of them has not made what it should.
 * @throws RetryableError that says which are wrong
 */
export function agentOutputs(values: Record<string, unknown>): StackOutputs {
  const parsed = stackOutputs.safeParse(values);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`);
  throw new RetryableError(`The stack's outputs cannot be used: ${problems.join('; ')}`);
}
