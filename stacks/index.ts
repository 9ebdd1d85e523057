import { createProgram, type StackProgram } from './program.ts';

/**
 * The program that the plain Pulumi CLI runs (`main` in Pulumi.yaml). `npm run pulumi` passes the agent's
 * recorded inputs in AGENT_STACKS_PROGRAM. They include secrets, which must not appear in arguments.
 */
export default async function program(): Promise<Record<string, unknown>> {
  const text = process.env.AGENT_STACKS_PROGRAM;
  if (!text)
    throw new Error('Run the CLI as `npm run pulumi -- <args>`: it passes the recorded inputs to the stack.');
  return createProgram(JSON.parse(text) as StackProgram)();
}
