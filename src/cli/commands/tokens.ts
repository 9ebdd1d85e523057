import { optional } from '@optique/core/modifiers';
import { argument, option } from '@optique/core/primitives';
import { integer, string } from '@optique/core/valueparser';
import { allPages, answer } from '../../../client/client.ts';
import { defineCommand, json, text, toText, verbOf } from '../command.ts';
import { UsageError } from '../connection.ts';
import { printJson, printTable, type Terminal } from '../terminal.ts';
import { PAGE } from './lists.ts';

export const tokens = defineCommand({
  name: 'tokens',
  brief: 'tokens of people: list, create, revoke',
  detail: 'A token may what its person may, until it expires. It is shown once, when it is made.',
  examples: [
    'tokens',
    'tokens create ada@example.com --label laptop --days 30',
    'tokens revoke 8d2f0a1c-4f5e-4a55-9d5e-6f0f5b1c2d3e',
  ],
  fields: {
    verb: verbOf(['list', 'create', 'revoke']),
    whose: optional(
      argument(string({ metavar: 'NAME|TOKEN_ID' }), {
        description: toText('with create whose it will be, with revoke its id'),
      }),
    ),
    label: text('--label', string({ metavar: 'TEXT' }), 'what it is for, with create'),
    days: optional(
      option('--days', integer({ metavar: 'N', min: 1, max: 366 }), {
        description: toText('until it expires, with create; default 90'),
      }),
    ),
    ...json,
  },
  run: async ({ verb, whose, label, days, json: asJson }, terminal) => {
    if (verb !== 'create' && (label !== undefined || days !== undefined))
      throw new UsageError(`tokens ${verb} takes no --label and no --days.`);
    if (verb === 'list') {
      if (whose !== undefined) throw new UsageError('tokens list takes no name.');
      return list(asJson, terminal);
    }
    if (whose === undefined)
      throw new UsageError(`tokens ${verb} needs ${verb === 'create' ? 'a name' : 'the token’s id'}.`);
    if (verb === 'revoke') return revoke(whose, asJson, terminal);
    if (label === undefined) throw new UsageError('tokens create needs --label: what it is for.');
    return create({ name: whose, label, ...(days !== undefined && { days }) }, asJson, terminal);
  },
});

async function list(asJson: boolean, terminal: Terminal): Promise<true> {
  const items = await allPages((cursor) =>
    answer(
      terminal.api.GET('/api/tokens', { params: { query: { limit: PAGE, ...(cursor && { cursor }) } } }),
    ),
  );
  if (asJson) return printJson(terminal, items);
  if (items.length === 0) {
    terminal.print('There are no tokens but those of the environment. One is made with: tokens create');
    return true;
  }
  printTable(
    terminal,
    [
      'TOKEN',
      'WHOSE',
      'LABEL',
      'STATUS',
      { name: 'EXPIRES', droppable: 1 },
      { name: 'LAST USED', droppable: 2 },
      { name: 'BY', droppable: 3 },
    ],
    items.map((one) => [
      one.tokenId,
      one.name,
      one.label,
      one.status,
      one.expiresAt.slice(0, 19),
      one.lastUsedAt?.slice(0, 16) ?? 'never',
      one.createdBy,
    ]),
  );
  return true;
}

async function create(
  body: { name: string; label: string; days?: number },
  asJson: boolean,
  terminal: Terminal,
): Promise<true> {
  const made = await answer(terminal.api.POST('/api/tokens', { body }));
  if (asJson) return printJson(terminal, made);
  terminal.print(made.token);
  terminal.print(
    `It is ${made.name}’s until ${made.expiresAt.slice(0, 19)}. Keep it now: nothing else shows it again.`,
  );
  return true;
}

async function revoke(tokenId: string, asJson: boolean, terminal: Terminal): Promise<true> {
  const revoked = await answer(
    terminal.api.DELETE('/api/tokens/{tokenId}', { params: { path: { tokenId } } }),
  );
  if (asJson) return printJson(terminal, revoked);
  terminal.print(`The token ${revoked.label} of ${revoked.name} is refused from now on.`);
  return true;
}
