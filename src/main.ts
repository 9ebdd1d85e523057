import { parseArgs } from 'node:util';
import { migrateOnce } from './app/migrate-once.ts';
import { runProcess } from './app/process.ts';
import { ROLES, readConfig } from './config/config.ts';
import { ConfigError } from './config/config-error.ts';
import { usesFiles } from './config/credential-files.ts';
import { useOwnEnvironment } from './config/process-environment.ts';
import { errorMessage } from './errors.ts';
import { complain } from './processes/terminal-text.mjs';

/** Migrates the database and ends: for deployments that do it once, before they start anything. */
const MIGRATE = 'migrate';

/** Reads the arguments and the environment, then runs until a signal. Reports all problems in one message. */
async function main(): Promise<number> {
  try {
    const { values } = parseArgs({ options: { role: { type: 'string', default: 'all' } } });
    const role = ROLES.find((name) => name === values.role);
    if (role === undefined && values.role !== MIGRATE)
      throw new ConfigError(`--role must be one of ${[...ROLES, MIGRATE].join(', ')}, not ${values.role}`);
    const config = readConfig(process.env);
    useOwnEnvironment(process.env, config.childEnvironment);
    const reread = mayReload() ? () => readConfig(process.env, true) : undefined;
    if (role === undefined) await migrateOnce(config);
    else await runProcess(config, role, reread);
    return 0;
  } catch (error) {
    const isOurs =
      error instanceof ConfigError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
    complain(isOurs ? errorMessage(error) : `agent-stacks failed: ${errorMessage(error)}`);
    return isOurs ? 2 : 1;
  }
}

/** A terminal that hangs up sends the same signal, and the service is to stop with it. */
function mayReload(): boolean {
  const hasTerminal = process.stdin.isTTY === true || process.stdout.isTTY === true;
  return !hasTerminal && usesFiles(process.env);
}

// With `npm start | head`, a closed pipe must not crash the service: drop the output instead.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

process.exit(await main());
