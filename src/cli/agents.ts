import { createInterface } from 'node:readline/promises';
import { readClientConfig } from '../config/client.ts';
import { ConfigError } from '../config/config-error.ts';
import { EnvironmentReader } from '../config/environment-reader.ts';
import { childEnvironment, useOwnEnvironment } from '../config/process-environment.ts';
import {
  complain,
  complainOfUnexpected,
  printable,
  redraw,
  say,
  sayStyled,
  sayToShell,
} from '../processes/terminal-text.mjs';
import { createCandidates } from './candidates.ts';
import { createClient } from './client.ts';
import type { Asked } from './command.ts';
import { CommandError, findConnection, UsageError } from './connection.ts';
import { describeError } from './errors.ts';
import { parseCommand } from './parse.ts';
import type { Restoring } from './restore.ts';
import type { Terminal } from './terminal.ts';

/**
 * `npm run agents -- <command>`. Exit code: 0 on success, 1 on failure, 2 on a usage error; `ssh` exits with
 * ssh's own code.
 */
async function main(argv: readonly string[]): Promise<number> {
  let asked: Asked | undefined;
  try {
    // A remote service may be behind the proxy, so only this host is exempt from it.
    if (argv[0] !== 'ssh')
      useOwnEnvironment(process.env, childEnvironment(new EnvironmentReader(process.env), []));
    const terminal = createTerminal();
    const { width } = terminal;
    const parsed = await parseCommand(argv, { candidates: createCandidates(terminal.api), width });
    if ('text' in parsed) {
      if (parsed.isForShell) sayToShell(parsed.text);
      else say(parsed.text);
      return 0;
    }
    asked = parsed.asked;
    if (asked.name === 'ssh') return await openShell(asked.values);
    if (asked.name === 'restore') return await runRestore(asked.values, terminal);
    return (await asked.run(terminal)) ? 0 : 1;
  } catch (error) {
    if (isExpected(error)) complain(describeError(error, asked?.values.json === true));
    else complainOfUnexpected(error);
    return error instanceof UsageError ? 2 : 1;
  }
}

const isExpected = (error: unknown): error is Error =>
  error instanceof CommandError || error instanceof ConfigError || error instanceof UsageError;

/** Only this command needs all that a worker needs. */
async function openShell(values: Record<string, unknown>): Promise<number> {
  const { readConfig } = await import('../config/config.ts');
  const { ssh } = await import('./ssh/ssh.ts');
  const config = readConfig(process.env);
  useOwnEnvironment(process.env, config.childEnvironment);
  const { agentId, command } = values as { agentId: string; command: readonly string[] };
  return ssh({ agentId, command }, { config, terminal: process.env.TERM });
}

/** It works on the databases, beside no service. */
async function runRestore(values: Record<string, unknown>, terminal: Terminal): Promise<number> {
  const { from, force, yes, identity, json } = values as unknown as Restoring & {
    yes: boolean;
    json: boolean;
  };
  if (force && !yes) {
    if (terminal.confirm === undefined) throw new CommandError('Not a terminal: confirm with --yes');
    if (!(await terminal.confirm('Give up everything in both databases?'))) return 1;
  }
  const { readConfig } = await import('../config/config.ts');
  const { restoreBackup } = await import('./restore.ts');
  const config = readConfig(process.env);
  const environment = { ...process.env };
  useOwnEnvironment(process.env, config.childEnvironment);
  const { header, rows } = await restoreBackup({ from, force, identity }, { config, environment });
  const next = 'Start the service, then: npm run agents -- rebuild-state';
  say(json ? JSON.stringify({ at: header.at, rows }) : `Restored ${rows} rows, as of ${header.at}. ${next}`);
  return 0;
}

function createTerminal(): Terminal {
  const connect = async () => findConnection(readClientConfig(process.env));
  const isTerminal = process.stdout.isTTY === true;
  return {
    connect,
    api: createClient(connect),
    environment: process.env,
    print: say,
    printStyled: sayStyled,
    redraw: isTerminal ? redraw : undefined,
    // A person may change the window's size while a command runs.
    get width() {
      // A terminal that does not know its size says 0.
      return isTerminal ? process.stdout.columns || undefined : undefined;
    },
    get height() {
      return isTerminal ? process.stdout.rows : undefined;
    },
    confirm: confirmation(),
    untilInterrupted: () => {
      const interrupt = new AbortController();
      for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => interrupt.abort());
      return interrupt.signal;
    },
  };
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
process.exitCode = await main(process.argv.slice(2));
