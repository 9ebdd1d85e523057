import { map } from '@optique/core/modifiers';
import { passThrough } from '@optique/core/primitives';
import type { Arguments } from '../arguments.ts';
import { type Command, defineCommand, toText } from '../command.ts';

/** `ssh`: everything after the agent belongs to the remote command, options included. */
export const ssh = ({ agent }: Arguments): Command =>
  defineCommand({
    name: 'ssh',
    brief: 'open a shell on its server over the tailnet, or run one command',
    detail: 'It needs the service’s own DATA_DIR, or in live mode its environment. It exits as ssh does.',
    examples: ['ssh ada', 'ssh ada systemctl status agent'],
    fields: {
      agentId: agent,
      command: map(
        passThrough({ format: 'greedy', description: toText('a command to run there') }),
        (command) => (command[0] === '--' ? command.slice(1) : command),
      ),
    },
    run: async () => {
      throw new Error('ssh is run by its caller, with all that a worker needs');
    },
  });
