import { createClient } from '../../src/cli/client.ts';
import { parseCommand } from '../../src/cli/parse.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { Secret } from '../../src/secret.ts';
import { API_TOKEN } from './http-service.ts';

/** A terminal of the commands for a service under test, which keeps what is printed. */
export function createTestTerminal(url: string, more: Partial<Terminal> = {}) {
  const printed: string[] = [];
  const connect = async () => ({ url, apiToken: new Secret(API_TOKEN) });
  const terminal: Terminal = {
    connect,
    api: createClient(connect),
    environment: {},
    print: (line) => printed.push(line),
    confirm: undefined,
    untilInterrupted: () => new AbortController().signal,
    ...more,
  };
  return { terminal, printed };
}

/** Runs a command in this process. @returns whether it succeeded. @throws what the command throws */
export async function runCommand(terminal: Terminal, argv: readonly string[]): Promise<boolean> {
  const parsed = await parseCommand(argv);
  if ('text' in parsed) throw new Error(`${argv.join(' ')} only prints a text`);
  return parsed.asked.run(terminal);
}

/** What a command line means, without running it. @throws UsageError */
export async function understand(...argv: string[]): Promise<Record<string, unknown>> {
  const parsed = await parseCommand(argv);
  return 'text' in parsed ? parsed : { name: parsed.asked.name, ...parsed.asked.values };
}
