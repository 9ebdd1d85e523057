import { expect } from 'vitest';
import type { Outcome } from './commands.ts';
import type { Installation } from './installation.ts';

const VERBS = {
  preview: ['preview'],
  refresh: ['refresh', '--yes'],
  both: ['preview', '--refresh'],
};

/**
 * The plain Pulumi CLI finds nothing to change in an agent's stack. `verb`: `preview` compares it with its
 * program, `refresh` with the clouds, `both` with both at once.
 */
export async function expectNoChanges(
  { run }: Pick<Installation, 'run'>,
  agentId: string,
  verb: keyof typeof VERBS = 'preview',
): Promise<Outcome> {
  const words = ['pulumi', '--', ...VERBS[verb], '-s', `agent-${agentId}`, '--expect-no-changes'];
  const outcome = await run(words);
  expect(outcome.code, `${verb}: ${outcome.stdout}${outcome.stderr}`).toBe(0);
  return outcome;
}
