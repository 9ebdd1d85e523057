import { optional } from '@optique/core/modifiers';
import { option } from '@optique/core/primitives';
import { choice, string } from '@optique/core/valueparser';
import { defineCommand, toText } from '../command.ts';
import { CommandError } from '../connection.ts';

const DEFAULT_FILE = 'agent-stacks.env';

export const init = defineCommand({
  name: 'init',
  brief: 'ask for what live mode needs, and write the environment file',
  detail:
    'Tries each answer at once with calls that only read, and says where it is found. Makes the webhook endpoint at Stripe, and adds to ' +
    'the tailnet’s policy what agents need, after asking. Secrets are not shown.',
  examples: [
    'init',
    'init --answers .rehearsal/clouds.env --file .rehearsal/agents.env',
    'init --only webhook',
    'init --only policy',
  ],
  fields: {
    file: optional(
      option('--file', string({ metavar: 'FILE' }), {
        description: toText(`the file to write (ENV_FILE, or ${DEFAULT_FILE})`),
      }),
    ),
    answers: optional(
      option('--answers', string({ metavar: 'FILE' }), {
        description: toText('a file with answers, which are offered instead of nothing'),
      }),
    ),
    only: optional(
      option('--only', choice(['webhook', 'policy'], { metavar: 'PART' }), {
        description: toText('make one thing of an installation that has its file: webhook, policy'),
      }),
    ),
    yes: option('--yes', { description: toText('ask nothing: take the answers of the files, and say yes') }),
    replace: option('--replace', { description: toText('replace an existing file') }),
  },
  run: async ({ file, answers, only, yes, replace }, terminal) => {
    if (!yes && terminal.confirm === undefined)
      throw new CommandError('init asks in a terminal. Without one, give --answers FILE and --yes.');
    const { runInit } = await import('../init/init.ts');
    const { silentAsker, terminalAsker } = await import('../init/asker.ts');
    const asker = yes ? silentAsker(terminal.print) : terminalAsker(terminal.print);
    await runInit(asker, {
      file: file ?? (terminal.environment.ENV_FILE || DEFAULT_FILE),
      answers,
      only,
      replaces: replace,
      isSilent: yes,
    });
    return true;
  },
});
