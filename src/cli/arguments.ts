import { message } from '@optique/core/message';
import { argument } from '@optique/core/primitives';
import { string, type ValueParser } from '@optique/core/valueparser';
import { toText } from './command.ts';

/** Something that a shell can complete. */
export interface Candidate {
  id: string;
  words: string;
}

/** Finds what may stand for an id, for completion; nothing where no service answers. */
export interface Candidates {
  agents(prefix: string): Promise<readonly Candidate[]>;
  operations(prefix: string): Promise<readonly Candidate[]>;
}

/** The arguments that commands share, with their completion. */
export function createArguments({ agents, operations }: Candidates) {
  const agent = idParser('AGENT', agents);
  const operation = idParser('OPERATION', operations);
  return {
    agent: argument(agent, { description: toText('its id'), errors: missing('an agent id') }),
    newAgent: argument(string({ metavar: 'AGENT' }), {
      description: toText('the id that it gets, which was never used before'),
      errors: missing('an agent id'),
    }),
    operation: argument(operation, {
      description: toText('its id'),
      errors: missing('an operation id'),
    }),
  };
}

export type Arguments = ReturnType<typeof createArguments>;

const missing = (what: string) => ({ endOfInput: message`${toText(`This command needs ${what}.`)}` });

function idParser(
  metavar: 'AGENT' | 'OPERATION',
  find: (prefix: string) => Promise<readonly Candidate[]>,
): ValueParser<'async', string> {
  const plain = string({ metavar });
  return {
    mode: 'async',
    metavar,
    placeholder: 'x',
    parse: async (input) =>
      input === ''
        ? { success: false, error: message`${toText(`${metavar} must not be empty.`)}` }
        : plain.parse(input),
    format: (value) => value,
    async *suggest(prefix) {
      for (const { id, words } of await find(prefix))
        yield { kind: 'literal', text: id, description: toText(words) };
    },
  };
}
