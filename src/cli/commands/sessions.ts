import { optional } from '@optique/core/modifiers';
import { argument } from '@optique/core/primitives';
import { string } from '@optique/core/valueparser';
import { answer } from '../../../client/client.ts';
import { defineCommand, json, toText, verbOf } from '../command.ts';
import { UsageError } from '../connection.ts';
import { printJson, printTable, type Terminal } from '../terminal.ts';

export const sessions = defineCommand({
  name: 'sessions',
  brief: 'sessions in browsers: list, end',
  examples: ['sessions', 'sessions end 8d2f0a1c-4f5e-4a55-9d5e-6f0f5b1c2d3e'],
  fields: {
    verb: verbOf(['list', 'end']),
    sessionId: optional(
      argument(string({ metavar: 'SESSION_ID' }), { description: toText('its id, with end') }),
    ),
    ...json,
  },
  run: async ({ verb, sessionId, json: asJson }, terminal) => {
    if (verb === 'list') {
      if (sessionId !== undefined) throw new UsageError('sessions list takes no id.');
      return list(asJson, terminal);
    }
    if (sessionId === undefined) throw new UsageError('sessions end needs the session’s id.');
    const ended = await answer(
      terminal.api.DELETE('/api/sessions/{sessionId}', { params: { path: { sessionId } } }),
    );
    if (asJson) return printJson(terminal, ended);
    terminal.print(`The session of ${ended.name} is over.`);
    return true;
  },
});

async function list(asJson: boolean, terminal: Terminal): Promise<true> {
  const { items } = await answer(terminal.api.GET('/api/sessions'));
  if (asJson) return printJson(terminal, items);
  if (items.length === 0) terminal.print('Nobody is signed in on the page.');
  else
    printTable(
      terminal,
      [
        'SESSION',
        'WHOSE',
        'BY',
        { name: 'SINCE', droppable: 1 },
        { name: 'LAST USED', droppable: 2 },
        { name: 'BROWSER', droppable: 3 },
      ],
      items.map((one) => [
        one.sessionId,
        one.name,
        one.method,
        one.createdAt.slice(0, 19),
        one.lastUsedAt?.slice(0, 16) ?? null,
        one.browser,
      ]),
    );
  return true;
}
