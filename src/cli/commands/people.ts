import { optional } from '@optique/core/modifiers';
import { argument } from '@optique/core/primitives';
import { choice, string } from '@optique/core/valueparser';
import { answer } from '../../../client/client.ts';
import { ROLES, type Role } from '../../database/vocabulary.ts';
import { defineCommand, json, text, toText, verbOf } from '../command.ts';
import { UsageError } from '../connection.ts';
import { printJson, printTable, type Terminal } from '../terminal.ts';

export const people = defineCommand({
  name: 'people',
  brief: 'who may sign in, and their roles: list, add, role, remove',
  detail:
    'viewer reads; support also restarts; operator does everything to agents; admin also has people and tokens.',
  examples: [
    'people',
    'people add ada@example.com --role operator',
    'people role ada@example.com --role admin',
    'people remove ada@example.com',
  ],
  fields: {
    verb: verbOf(['list', 'add', 'role', 'remove']),
    name: optional(
      argument(string({ metavar: 'NAME' }), { description: toText('as the audit log names them') }),
    ),
    role: text('--role', choice(ROLES, { metavar: 'ROLE', suggest: 'nearest' }), ROLES.join(', ')),
    login: text(
      '--login',
      string({ metavar: 'LOGIN' }),
      'what Tailscale and the OpenID provider call them, if not so; with add',
    ),
    ...json,
  },
  run: async ({ verb, name, role, login, json: asJson }, terminal) => {
    if (login !== undefined && verb !== 'add') throw new UsageError(`people ${verb} takes no --login.`);
    if (role !== undefined && (verb === 'list' || verb === 'remove'))
      throw new UsageError(`people ${verb} takes no --role.`);
    if (verb === 'list') {
      if (name !== undefined) throw new UsageError('people list takes no name.');
      return list(asJson, terminal);
    }
    if (name === undefined) throw new UsageError(`people ${verb} needs a name.`);
    if (verb === 'remove') return remove(name, asJson, terminal);
    if (role === undefined) throw new UsageError(`people ${verb} needs --role: ${ROLES.join(', ')}.`);
    if (verb === 'role') return change(name, role, asJson, terminal);
    return add({ name, role, ...(login !== undefined && { login }) }, asJson, terminal);
  },
});

async function list(asJson: boolean, terminal: Terminal): Promise<true> {
  const { items } = await answer(terminal.api.GET('/api/people'));
  if (asJson) return printJson(terminal, items);
  if (items.length === 0) {
    terminal.print('There is nobody yet besides the holder of API_TOKEN. Somebody is added with: people add');
    return true;
  }
  printTable(
    terminal,
    [
      'NAME',
      'ROLE',
      { name: 'LOGIN', droppable: 1 },
      { name: 'SINCE', droppable: 2 },
      { name: 'BY', droppable: 3 },
    ],
    items.map((one) => [
      one.name,
      one.roleByClaim ? `${one.role} (by the OpenID provider)` : one.role,
      one.login === one.name ? null : one.login,
      one.createdAt.slice(0, 19),
      one.createdBy,
    ]),
  );
  return true;
}

async function add(
  body: { name: string; role: Role; login?: string },
  asJson: boolean,
  terminal: Terminal,
): Promise<true> {
  const added = await answer(terminal.api.POST('/api/people', { body }));
  if (asJson) return printJson(terminal, added);
  terminal.print(`${added.name} is ${added.role}. A token for them: tokens create ${added.name} --label …`);
  return true;
}

async function change(name: string, role: Role, asJson: boolean, terminal: Terminal): Promise<true> {
  const changed = await answer(
    terminal.api.PATCH('/api/people/{name}', { params: { path: { name } }, body: { role } }),
  );
  if (asJson) return printJson(terminal, changed);
  terminal.print(`${changed.name} is ${changed.role} from now on.`);
  return true;
}

async function remove(name: string, asJson: boolean, terminal: Terminal): Promise<true> {
  const removed = await answer(terminal.api.DELETE('/api/people/{name}', { params: { path: { name } } }));
  if (asJson) return printJson(terminal, removed);
  terminal.print(`${removed.name} is removed; their tokens and sessions are refused from now on.`);
  return true;
}
