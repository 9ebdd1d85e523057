import { option } from '@optique/core/primitives';
import { answer } from '../../../client/client.ts';
import type { Arguments } from '../arguments.ts';
import { type Command, defineCommand, toText, waiting } from '../command.ts';
import { CommandError } from '../connection.ts';
import { follow } from '../operations.ts';
import { printJson } from '../terminal.ts';

export const abandon = ({ agent }: Pick<Arguments, 'agent'>): Command =>
  defineCommand({
    name: 'abandon',
    brief: 'give up what could not be undone on a server that is given back',
    detail:
      'For an adoption that has failed, or whose agent is being destroyed, while the service cannot get into the server to undo what it has set there. Its keys and its device are removed all the same: afterwards only Hetzner’s console leads into the server.',
    examples: ['abandon ada --wait'],
    fields: {
      agentId: agent,
      yes: option('-y', '--yes', { description: toText('do not ask first') }),
      ...waiting,
    },
    run: async ({ agentId, yes, ...common }, terminal) => {
      if (!yes && terminal.confirm === undefined)
        throw new CommandError('Without a terminal to confirm, abandon needs --yes');
      const question = `Give up what is left on the server of agent ${agentId}, with the only key that leads into it?`;
      if (!yes && !(await terminal.confirm?.(question))) {
        terminal.print('Nothing was done.');
        return false;
      }
      const changed = await answer(
        terminal.api.POST('/api/agents/{agentId}/abandon', { params: { path: { agentId } } }),
      );
      if ('operationId' in changed) return follow(changed, common, terminal);
      if (common.json) return printJson(terminal, changed);
      terminal.print(`An attempt for agent ${agentId} is under way; the next one gives up what is left.`);
      return true;
    },
  });
