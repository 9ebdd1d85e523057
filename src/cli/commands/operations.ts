import type { Mode, Parser } from '@optique/core/parser';
import { option } from '@optique/core/primitives';
import { choice, string } from '@optique/core/valueparser';
import { z } from 'zod';
import '../../runbooks/all.ts';
import { type Requestable, requestableOperations } from '../../operations/registry.ts';
import type { Arguments } from '../arguments.ts';
import { type Command, defineCommand, needed, toText, waiting } from '../command.ts';
import { CommandError } from '../connection.ts';
import { follow, postOperation } from '../operations.ts';
import { answer, type Terminal } from '../terminal.ts';

/** A command for each kind of operation that a person may request, derived from its definition. */
export const operationCommands = (shared: Arguments): Command[] =>
  requestableOperations().map((operation) => operationCommand(operation, shared));

function operationCommand(operation: Requestable, { agent }: Arguments): Command {
  const { kind, cli, confirm, parameters } = operation;
  const names = Object.keys(parameters?.shape ?? {});
  const words = names.map((name) => ` --${name} ${exampleOf(parameters!.shape[name])}`).join('');
  return defineCommand({
    name: kind,
    brief: cli,
    examples: [`${kind} ada${words}${confirm ? ' --yes' : ''} --wait`],
    fields: {
      agentId: agent,
      ...Object.fromEntries(names.map((name) => [name, parameterOption(name, parameters!.shape[name])])),
      ...(confirm && { yes: option('-y', '--yes', { description: toText('do not ask first') }) }),
      ...waiting,
    } as { agentId: Arguments['agent'] } & typeof waiting,
    run: async (values, terminal) => {
      const { agentId, yes, ...given } = values as typeof values & { yes?: boolean } & Record<
          string,
          unknown
        >;
      const body = Object.fromEntries(names.map((name) => [name, given[name]]));
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
  operation: Requestable,
  { agentId, body, yes, ...common }: Wanted,
  terminal: Terminal,
): Promise<boolean> {
  const { kind, confirm } = operation;
  if (confirm !== undefined && yes !== true && !(await confirmed(operation, agentId, terminal))) {
    terminal.print('Nothing was done.');
    return false;
  }
  return follow(await postOperation(terminal.api, { kind, agentId, body }), common, terminal);
}

/** Asks a person, who sees the state of what would be lost. @throws CommandError without a terminal */
async function confirmed(
  { kind, confirm }: Requestable,
  agentId: string,
  terminal: Terminal,
): Promise<boolean> {
  if (terminal.confirm === undefined)
    throw new CommandError(`Without a terminal to confirm, ${kind} needs --yes`);
  const found = await answer(terminal.api.GET('/api/agents/{agentId}', { params: { path: { agentId } } }));
  const verb = kind.charAt(0).toUpperCase() + kind.slice(1);
  return terminal.confirm(`${verb} agent ${found.agentId} (${found.status}) ${confirm!.loses}?`);
}

function parameterOption(name: string, schema: unknown): Parser<Mode, unknown, unknown> {
  const metavar = name.toUpperCase() as 'PLAN';
  const choices = choicesOf(schema);
  const parser =
    choices === undefined ? string({ metavar }) : choice(choices, { metavar, suggest: 'nearest' });
  return needed(`--${name}`, parser, choices?.join(', ') ?? name);
}

const choicesOf = (schema: unknown): readonly string[] | undefined =>
  schema instanceof z.ZodEnum ? schema.options.map(String) : undefined;

const exampleOf = (schema: unknown) => choicesOf(schema)?.[1] ?? 'VALUE';

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
