import { createProgram, type StackProgram } from './program.ts';

/**
 * The program as the plain Pulumi CLI runs it (`main` in Pulumi.yaml). `npm run pulumi` hands in the agent's recorded inputs
 * through AGENT_STACKS_PROGRAM; the secrets among them are why it is the environment and not an argument.
 */
export default async function program(): Promise<Record<string, unknown>> {
  const text = process.env.AGENT_STACKS_PROGRAM;
  if (!text)
    throw new Error('Run the CLI as `npm run pulumi -- <args>`: it hands the stack its recorded inputs.');
  return createProgram(JSON.parse(text) as StackProgram)();
}
