import { parseArgs } from 'node:util';
import { runProcess } from './app/process.ts';
import { ConfigError, ROLES, readConfig } from './config/config.ts';
import { useOwnEnvironment } from './config/process-environment.ts';
import { errorMessage } from './errors.ts';
import { complain } from './processes/terminal-text.mjs';

/** The process: reads its arguments and environment, runs until it is told to stop, and says in one message what is wrong. */
async function main(): Promise<number> {
  try {
    const { values } = parseArgs({ options: { role: { type: 'string', default: 'all' } } });
    const role = ROLES.find((name) => name === values.role);
    if (role === undefined)
      throw new ConfigError(`--role must be one of ${ROLES.join(', ')}, not ${values.role}`);
    const config = readConfig(process.env);
    useOwnEnvironment(process.env, config.childEnvironment);
    await runProcess(config, role);
    return 0;
  } catch (error) {
    const isOurs =
      error instanceof ConfigError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
    complain(isOurs ? errorMessage(error) : `agent-stacks cannot go on: ${errorMessage(error)}`);
    return isOurs ? 2 : 1;
  }
}

// `npm start | head` must not end the service in disorder: who no longer reads is told nothing more.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

process.exit(await main());
