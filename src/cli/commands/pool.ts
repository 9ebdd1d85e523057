import { optional } from '@optique/core/modifiers';
import { argument, option } from '@optique/core/primitives';
import { string } from '@optique/core/valueparser';
import { answer } from '../../../client/client.ts';
import { defineCommand, json, toText, verbOf } from '../command.ts';
import { CommandError, UsageError } from '../connection.ts';
import { printJson, printTable, type Terminal } from '../terminal.ts';

export const pool = defineCommand({
  name: 'pool',
  brief: 'servers that wait for orders: list, remove one that a restore has left',
  detail:
    'remove: one that has lost its row, so that nothing uses or removes it. Look first whether its health answer names an agent: you vouch that none runs on it.',
  examples: ['pool list', 'pool remove slot-0123456789abcdef01234567'],
  fields: {
    verb: verbOf(['list', 'remove']),
    slot: optional(argument(string({ metavar: 'SLOT' }), { description: toText('with remove') })),
    yes: option('--yes', { description: toText('remove it without asking') }),
    ...json,
  },
  run: async ({ verb, slot, yes, json: asJson }, terminal) => {
    if (verb === 'list') {
      if (slot !== undefined) throw new UsageError('pool list takes no server.');
      return list(asJson, terminal);
    }
    if (slot === undefined) throw new UsageError('Which server? pool remove SLOT');
    return remove(slot, { yes, asJson }, terminal);
  },
});

async function list(asJson: boolean, terminal: Terminal): Promise<true> {
  const found = await answer(terminal.api.GET('/api/pool'));
  if (asJson) return printJson(terminal, found);
  printTable(
    terminal,
    ['SLOT', 'PROJECT', 'LOCATION', 'PLAN', 'STATUS', 'HEALTHY'],
    found.items.map((one) => [
      one.slotId,
      one.project,
      one.location,
      one.plan,
      one.status,
      one.healthyAt === null ? null : one.healthyAt.slice(0, 19),
    ]),
  );
  terminal.print(`${found.hits} orders got one, ${found.misses} found none.`);
  return true;
}

async function remove(
  slotId: string,
  { yes, asJson }: { yes: boolean; asJson: boolean },
  terminal: Terminal,
): Promise<boolean> {
  if (!yes) {
    const { confirm } = terminal;
    if (confirm === undefined) throw new CommandError('Not a terminal: confirm with --yes');
    if (!(await confirm(`Delete the server of ${slotId} with its data? No agent may run on it`)))
      return false;
  }
  const removal = await answer(
    terminal.api.POST('/api/pool/{slotId}/remove', { params: { path: { slotId } } }),
  );
  if (asJson) return printJson(terminal, removal);
  terminal.print(
    `${removal.serverName === null ? 'What is left' : `Server ${removal.serverName}`} of ${slotId} is being removed.`,
  );
  return true;
}
