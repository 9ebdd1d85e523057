import { object } from '@optique/core/constructs';
import { lineBreak, type Message, message } from '@optique/core/message';
import { map, optional, withDefault } from '@optique/core/modifiers';
import type { InferValue, Mode, Parser } from '@optique/core/parser';
import { argument, command, option } from '@optique/core/primitives';
import { choice, type ValueParser } from '@optique/core/valueparser';
import type { Terminal } from './terminal.ts';

/** The name under which people call the commands; `npm run agents --` is the same. */
export const PROGRAM = 'agents';

/** What a command line asks for. */
export interface Asked {
  name: string;
  values: Record<string, unknown>;
  /** @returns whether what was asked for succeeded. @throws CommandError */
  run(terminal: Terminal): Promise<boolean>;
}

export interface Command {
  name: string;
  parser: Parser<Mode, Asked, unknown>;
}

interface Definition<Fields extends Record<string, Parser<Mode, unknown, unknown>>> {
  name: string;
  /** One line for the list of commands. */
  brief: string;
  /** More, for the command's own help. */
  detail?: string;
  /** Command lines without the program's name. */
  examples: readonly string[];
  /** Its options and arguments, in the order of its help. */
  fields: Fields;
  run(values: { [Name in keyof Fields]: InferValue<Fields[Name]> }, terminal: Terminal): Promise<boolean>;
}

/** Defines a command: its arguments, its help and what it does, in one place. */
export function defineCommand<Fields extends Record<string, Parser<Mode, unknown, unknown>>>({
  name,
  brief,
  detail,
  examples,
  fields,
  run,
}: Definition<Fields>): Command {
  // The library's types describe each arity apart; the fields are checked where `run` reads them.
  const values = object(fields as never) as Parser<Mode, Record<string, unknown>, unknown>;
  const asked = map(values, (found) => ({
    name,
    values: found,
    run: (terminal: Terminal) => run(found as Parameters<typeof run>[0], terminal),
  }));
  const options = {
    brief: message`${toText(brief)}`,
    ...(detail !== undefined && { description: message`${toText(detail)}` }),
    footer: exampleLines(examples),
  };
  return { name, parser: command(name, asked, options) as Parser<Mode, Asked, unknown> };
}

/** A text as it is, without the quotes that the library puts around values. */
export const toText = (text: string): Message => [{ type: 'text', text }];

function exampleLines(examples: readonly string[]): Message {
  const lines = examples.flatMap((example) => [
    lineBreak(),
    { type: 'text' as const, text: `  ${PROGRAM} ${example}` },
  ]);
  return [{ type: 'text', text: examples.length > 1 ? 'Examples:' : 'Example:' }, ...lines];
}

/** `--json`, which every command has that prints something. */
export const json = { json: option('--json', { description: toText('machine-readable output') }) };

/** `--wait` and `--json`, for commands that request an operation. */
export const waiting = {
  wait: option('--wait', {
    description: toText('wait until the operation has finished; exit 1 if it failed'),
  }),
  ...json,
};

/** An option with a value that may be left out. */
export function text<T>(name: `--${string}`, parser: ValueParser<'sync', T>, description: string) {
  return optional(option(name, parser, { description: toText(description) }));
}

/** What a command with several verbs does; without one it lists. */
export function verbOf<const Verb extends string>(verbs: readonly ['list', ...Verb[]]) {
  const kinds = choice(verbs, { metavar: 'WHAT', suggest: 'nearest' });
  return withDefault(argument(kinds, { description: toText(verbs.join(', ')) }), 'list');
}

/** An option with a value that must be there. */
export function needed<T>(name: `--${string}`, parser: ValueParser<'sync', T>, description: string) {
  return option(name, parser, { description: toText(description) });
}
