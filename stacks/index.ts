import { createProgram, type StackProgram } from './program.ts';

/**
 * The program that the plain Pulumi CLI runs (`main` in Pulumi.yaml). `npm run pulumi` passes the agent's
 * recorded inputs in AGENT_STACKS_PROGRAM: an environment variable and not an argument, since there are
 * secrets among them.
 */
export default async function program(): Promise<Record<string, unknown>> {
  const text = process.env.AGENT_STACKS_PROGRAM;
  if (!text)
    throw new Error('Run the CLI as `npm run pulumi -- <args>`: it passes the stack its recorded inputs.');
  return createProgram(JSON.parse(text) as StackProgram)();
}
