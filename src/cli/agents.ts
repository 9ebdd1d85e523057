import { createInterface } from 'node:readline/promises';
import { readClientConfig } from '../config/client.ts';
import { ConfigError, readConfig } from '../config/config.ts';
import { EnvironmentReader } from '../config/environment-reader.ts';
import { childEnvironment, useOwnEnvironment } from '../config/process-environment.ts';
import { errorMessage } from '../errors.ts';
import { complain, complainOfUnexpected, printable, say } from '../processes/terminal-text.mjs';
import { type Command, isBuiltin, parseCommand, USAGE, UsageError } from './arguments.ts';
import { createClient } from './client.ts';
import { run } from './commands.ts';
import { CommandError, findConnection } from './connection.ts';

/**
 * `npm run agents -- <command>`. Exit code: 0 on success, 1 on failure, 2 on a usage error; `ssh` exits with
 * ssh's own code.
 */
async function main(): Promise<number> {
  let command: Command;
  try {
    command = parseCommand(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    complain(`${error.message}\n\n${USAGE}`);
    return 2;
  }
  try {
    if (isBuiltin(command, 'help')) {
      say(USAGE);
      return 0;
    }
    if (isBuiltin(command, 'ssh')) {
      // Only this command needs all that a worker needs.
      const { ssh } = await import('./ssh/ssh.ts');
      const config = readConfig(process.env);
      useOwnEnvironment(process.env, config.childEnvironment);
      return await ssh(command, { config, terminal: process.env.TERM });
    }
    const config = readClientConfig(process.env);
    // A remote service may be behind the proxy, so only this host is exempt from it.
    useOwnEnvironment(process.env, childEnvironment(new EnvironmentReader(process.env), []));
    const client = createClient(() => findConnection(config));
    const succeeded = await run(command, {
      client,
      print: say,
      confirm: confirmation(),
    });
    return succeeded ? 0 : 1;
  } catch (error) {
    if (error instanceof CommandError || error instanceof ConfigError) complain(errorMessage(error));
    else complainOfUnexpected(error);
    return 1;
  }
}

function confirmation(): ((question: string) => Promise<boolean>) | undefined {
  if (!process.stdin.isTTY) return undefined;
  return async (question) => {
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    const answer = await lines.question(`${printable(question)} Type yes: `);
    lines.close();
    return answer.trim().toLowerCase() === 'yes';
  };
}

// The reader closed the pipe early (`… | head`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
process.exitCode = await main();
