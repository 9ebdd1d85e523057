import { createClient } from '../../src/cli/client.ts';
import { CommandError, findConnection, UsageError } from '../../src/cli/connection.ts';
import { describeError } from '../../src/cli/errors.ts';
import { parseCommand } from '../../src/cli/parse.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { readClientConfig } from '../../src/config/client.ts';
import type { Outcome } from './commands.ts';

/**
 * Runs an operator's command in this process, for the installation that the environment names: a process of
 * its own takes many times the processor time, most of it to load all commands.
 * @returns what the process of `npm run agents` would print and exit with
 * @throws what no command reports
 */
export async function runOperatorCommand(
  environment: NodeJS.ProcessEnv,
  argv: readonly string[],
): Promise<Outcome> {
  let stdout = '';
  const connect = async () => findConnection(readClientConfig(environment));
  const terminal: Terminal = {
    connect,
    api: createClient(connect),
    environment,
    print: (line) => {
      stdout += `${line}\n`;
    },
    confirm: undefined,
    untilInterrupted: () => new AbortController().signal,
  };
  try {
    const parsed = await parseCommand(argv);
    if ('text' in parsed) throw new Error(`${argv.join(' ')} only prints a text`);
    return { code: (await parsed.asked.run(terminal)) ? 0 : 1, stdout, stderr: '' };
  } catch (error) {
    if (!(error instanceof CommandError || error instanceof UsageError)) throw error;
    const stderr = `${describeError(error, argv.includes('--json'))}\n`;
    return { code: error instanceof UsageError ? 2 : 1, stdout, stderr };
  }
}
