import { CommandError } from '../connection.ts';

/** Asks a person, or whatever stands in for one. */
export interface Asker {
  say(text: string): void;
  /** `initial` is taken with the Enter key. `check` returns what is wrong with an answer. */
  ask(question: string, options: AskOptions): Promise<string>;
  confirm(question: string, initial: boolean): Promise<boolean>;
}

export interface AskOptions {
  isSecret: boolean;
  initial: string | undefined;
  check(answer: string): Promise<string | undefined>;
}

/** The person has pressed Ctrl-C. */
class InterruptedError extends CommandError {
  override name = 'InterruptedError';
}

/** Asks in a terminal. Secrets are not echoed. */
export function terminalAsker(say: (text: string) => void): Asker {
  return {
    say,
    ask: async (question, { isSecret, initial, check }) => {
      const validate = async (answer: string) => (await check(answer || (initial ?? ''))) ?? true;
      if (isSecret) {
        const { default: password } = await import('@inquirer/password');
        const kept = initial === undefined ? '' : ' (Enter keeps the one that is known)';
        const answer = await orInterrupted(password({ message: `${question}${kept}`, mask: '*', validate }));
        return answer || (initial ?? '');
      }
      const { default: input } = await import('@inquirer/input');
      return orInterrupted(input({ message: question, default: initial, validate }));
    },
    confirm: async (question, initial) => {
      const { default: confirm } = await import('@inquirer/confirm');
      return orInterrupted(confirm({ message: question, default: initial }));
    },
  };
}

async function orInterrupted<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if ((error as Error).name !== 'ExitPromptError') throw error;
    throw new InterruptedError('Stopped. What was made so far is named above; the rest is as it was.', {
      cause: error,
    });
  }
}

/** Takes the known answers, and says yes. @throws CommandError where an answer is missing or wrong */
export function silentAsker(say: (text: string) => void): Asker {
  return {
    say,
    ask: async (question, { initial, check }) => {
      const problem = await check(initial ?? '');
      if (problem !== undefined) throw new CommandError(`${question}: ${problem}`);
      return initial ?? '';
    },
    confirm: async () => true,
  };
}
