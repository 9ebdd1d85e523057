import type { Mode, Parser } from '@optique/core/parser';
import { option } from '@optique/core/primitives';
import { choice, string } from '@optique/core/valueparser';
import type { Arguments } from '../arguments.ts';
import { type Command, defineCommand, needed, toText, waiting } from '../command.ts';
import { CommandError } from '../connection.ts';
import { REQUESTABLE_KINDS } from '../operation-kinds.ts';
import { follow, postOperation } from '../operations.ts';
import type { RequestableKind } from '../requestable-kind.ts';
import { answer, type Terminal } from '../terminal.ts';

/** A command for each kind of operation that a person may request, derived from its definition. */
export const operationCommands = (shared: Arguments): Command[] =>
  REQUESTABLE_KINDS.map((operation) => operationCommand(operation, shared));

/** @throws Error for a kind that no person may request */
export function getRequestable(kind: string): RequestableKind {
  const found = REQUESTABLE_KINDS.find((one) => one.kind === kind);
  if (found === undefined) throw new Error(`There is no command for ${kind}`);
  return found;
}

function operationCommand(operation: RequestableKind, { agent }: Arguments): Command {
  const { kind, brief, parameters, loses } = operation;
  const asks = loses !== undefined;
  const words = parameters.map(({ name, choices }) => ` --${name} ${choices?.[1] ?? 'VALUE'}`).join('');
  return defineCommand({
    name: kind,
    brief,
    examples: [`${kind} ada${words}${asks ? ' --yes' : ''} --wait`],
    fields: {
      agentId: agent,
      ...Object.fromEntries(parameters.map((parameter) => [parameter.name, parameterOption(parameter)])),
      ...(asks && { yes: option('-y', '--yes', { description: toText('do not ask first') }) }),
      ...waiting,
    } as { agentId: Arguments['agent'] } & typeof waiting,
    run: async (values, terminal) => {
      const { agentId, yes, ...given } = values as typeof values & { yes?: boolean } & Record<
          string,
          unknown
        >;
      const body = Object.fromEntries(parameters.map(({ name }) => [name, given[name]]));
      return requestConfirmed(operation, { ...values, yes, agentId, body }, terminal);
    },
  });
}

interface Wanted {
  agentId: string;
  body: object;
  yes?: boolean | undefined;
  json: boolean;
  wait: boolean;
}

/** Requests an operation, if a person confirms what cannot be undone. @returns whether it succeeded */
export async function requestConfirmed(
  { kind, loses }: RequestableKind,
  { agentId, body, yes, ...common }: Wanted,
  terminal: Terminal,
): Promise<boolean> {
  if (loses !== undefined && yes !== true && !(await confirmed({ kind, loses, agentId }, terminal))) {
    terminal.print('Nothing was done.');
    return false;
  }
  return follow(await postOperation(terminal.api, { kind, agentId, body }), common, terminal);
}

/** Asks a person, who sees the state of what would be lost. @throws CommandError without a terminal */
async function confirmed(
  { kind, loses, agentId }: { kind: string; loses: string; agentId: string },
  terminal: Terminal,
): Promise<boolean> {
  if (terminal.confirm === undefined)
    throw new CommandError(`Without a terminal to confirm, ${kind} needs --yes`);
  const found = await answer(terminal.api.GET('/api/agents/{agentId}', { params: { path: { agentId } } }));
  const verb = kind.charAt(0).toUpperCase() + kind.slice(1);
  return terminal.confirm(`${verb} agent ${found.agentId} (${found.status}) ${loses}?`);
}

function parameterOption({
  name,
  choices,
}: RequestableKind['parameters'][number]): Parser<Mode, unknown, unknown> {
  const metavar = name.toUpperCase() as 'PLAN';
  const parser =
    choices === undefined ? string({ metavar }) : choice(choices, { metavar, suggest: 'nearest' });
  return needed(`--${name}`, parser, choices?.join(', ') ?? name);
}

export const cancel = (shared: Arguments): Command =>
  changeOperation(shared, 'cancel', 'cancel an unfinished operation');
export const retry = (shared: Arguments): Command =>
  changeOperation(shared, 'retry', 'start the next attempt of a failed or cancelled operation');

function changeOperation({ operation }: Arguments, name: 'cancel' | 'retry', brief: string): Command {
  return defineCommand({
    name,
    brief,
    examples: [`${name} 0f1c6a2e-5d4b-4c57-9f2d-3c1f6f0a9b11${name === 'retry' ? ' --wait' : ''}`],
    fields: { operationId: operation, ...waiting },
    run: async ({ operationId, ...common }, terminal) => {
      const params = { path: { operationId } };
      const changed = await answer(
        name === 'cancel'
          ? terminal.api.POST('/api/operations/{operationId}/cancel', { params })
          : terminal.api.POST('/api/operations/{operationId}/retry', { params }),
      );
      return follow(changed, common, terminal);
    },
  });
}
