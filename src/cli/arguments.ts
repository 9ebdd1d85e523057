import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import '../runbooks/all.ts';
import { REASONS_OF_PEOPLE } from '../agents/holds.ts';
import { findRequestable, type Requestable, requestableOperations } from '../operations/registry.ts';
import { flag, OPTIONS, text } from './options.ts';
import {
  auditScope,
  holdReason,
  type ImageVerb,
  imageCommand,
  newAgent,
  onlyId,
  optional,
  refuseMore,
  UsageError,
  type Values,
  wholeNumber,
} from './values.ts';

/** Where the words of a line of the help begin. */
const WORDS_COLUMN = 36;

export const USAGE = `npm run agents -- <command>

  list [--status STATUS]            all agents, newest first
  show AGENT                        one agent with its operations
  create --user-id ID --region REGION [--agent-id ID] [--plan PLAN] [--wait]
                                    create an agent without an order
${requestableOperations().map(usageOf).join('')}  hold AGENT --reason REASON [--note TEXT] [--wait]
                                    switch it off until this hold is released; REASON: ${REASONS_OF_PEOPLE.join(' or ')}
  release AGENT --reason REASON [--note TEXT] [--wait]
                                    release this hold; it runs again once nothing holds it
  protect AGENT                     let nobody destroy it
  unprotect AGENT                   allow it to be destroyed again
  ssh AGENT [COMMAND…]              open a shell on its server over the tailnet, or run one command
  logs AGENT [-f]                   log of its newest operation; -f follows it until it ends
  cancel OPERATION                  cancel an unfinished operation
  retry OPERATION [--wait]          start the next attempt of a failed operation
  orders [--attention]              all orders; --attention: only those that need a person
  notices [AGENT]                   what was told to receivers, and whether it arrived
  attention                         everything that needs a person, and what to do
  breakers [BREAKER]                limits on what the service does by itself; with one, what waits for it
  approve BREAKER [--count N]       let what waits go, at the allowed rate; N: only the oldest
  audit [AGENT]                     who asked for what, and what changed; all agents, or one
  audit verify [--head POSITION:HASH]
                                    check that no row of it was changed; exit 1 if one was
  image build [--location LOCATION] make the image that new servers start from, with this version of the playbook
  image list, image prune           images and their builds; remove those that no new server is made from
  receipt AGENT                     what was deleted of an agent, and when the clouds confirmed it

  --json     machine-readable output
  --wait     wait until the operation has finished; exit 1 if it failed

The service is found through DATA_DIR/sandbox.json, or through PUBLIC_URL and API_TOKEN.
ssh needs the service's own DATA_DIR, or in live mode its environment.
`;

function usageOf({ kind, cli, confirm, parameters }: Requestable): string {
  const options = Object.keys(parameters?.shape ?? {}).map((name) => ` --${name} ${name.toUpperCase()}`);
  const command = `  ${kind} AGENT${options.join('')}${confirm ? ' [--yes]' : ''} [--wait]`;
  return `${command.padEnd(WORDS_COLUMN - 1)} ${cli}\n`;
}

export { UsageError } from './values.ts';

interface Common {
  json: boolean;
  wait: boolean;
}

/** Asks for an operation; its name is the kind. */
export interface OperationCommand extends Common {
  name: string;
  agentId: string;
  /** Undefined where the kind takes none. */
  parameters: Record<string, string> | undefined;
  /** Whether the question was answered beforehand; undefined where the kind asks none. */
  yes: boolean | undefined;
}

export type Command = BuiltinCommand | OperationCommand;

export function isOperationCommand(command: Command): command is OperationCommand {
  return findRequestable(command.name) !== undefined;
}

export function isBuiltin<N extends BuiltinCommand['name']>(
  command: Command,
  name: N,
): command is Extract<BuiltinCommand, { name: N }> {
  return command.name === name;
}

export type BuiltinCommand = Common &
  (
    | { name: 'help' }
    | { name: 'list'; status: string | undefined }
    | { name: 'orders'; attention: boolean }
    | { name: 'notices'; agentId: string | undefined }
    | { name: 'attention' }
    | { name: 'breakers'; breaker: string | undefined }
    | { name: 'approve'; breaker: string; count: number | undefined }
    | { name: 'audit'; agentId: string | undefined; verify: boolean; head: string | undefined }
    | { name: 'image'; verb: ImageVerb; region: string | undefined }
    | { name: 'ssh'; agentId: string; command: string[] }
    | { name: 'logs'; agentId: string; follow: boolean }
    | { name: 'cancel' | 'retry'; operationId: string }
    | { name: 'hold' | 'release'; agentId: string; reason: string; note: string | undefined }
    | { name: 'receipt'; agentId: string }
    | { name: 'show'; agentId: string }
    | { name: 'protect' | 'unprotect'; agentId: string }
    | { name: 'create'; agent: { agentId?: string; userId: string; region: string; plan?: string } }
  );

const HELP = { name: 'help', json: false, wait: false } as const;

/** What a command line asks for. @throws UsageError */
export function parseCommand(argv: readonly string[]): Command {
  const [name, ...rest] = argv;
  if (name === undefined) throw new UsageError('No command given.');
  if (name === 'help' || name === '--help' || name === '-h') return HELP;
  if (name === 'ssh') return sshCommand(rest);
  const operation = findRequestable(name);
  if (operation !== undefined) return operationCommand(operation, rest);
  if (!Object.hasOwn(OPTIONS, name)) throw new UsageError(`Unknown command: ${name}`);
  const known = name as keyof typeof OPTIONS;
  const { values, positionals } = parse(rest, OPTIONS[known]);
  if (values.help === true) return HELP;
  return build(known, values, positionals);
}

/** Everything after the agent id belongs to the remote command, options included. */
function sshCommand([agentId, ...command]: string[]): Command {
  const common = { json: false, wait: false };
  if (agentId === '--help' || agentId === '-h') return HELP;
  if (agentId === undefined || agentId.startsWith('-')) throw new UsageError('ssh needs an agent id.');
  return { ...common, name: 'ssh', agentId, command: command[0] === '--' ? command.slice(1) : command };
}

function operationCommand({ kind, confirm, parameters }: Requestable, args: string[]): Command {
  const names = Object.keys(parameters?.shape ?? {});
  const { values, positionals } = parse(args, {
    wait: flag,
    ...(confirm && { yes: { type: 'boolean', short: 'y' } }),
    ...Object.fromEntries(names.map((name) => [name, text])),
  });
  if (values.help === true) return HELP;
  const given = names.map((name) => {
    const value = optional(values[name]);
    if (value === undefined) throw new UsageError(`${kind} needs --${name}.`);
    return [name, value] as const;
  });
  return {
    ...commonOf(values),
    name: kind,
    agentId: onlyId(kind, 'an agent id', positionals),
    parameters: parameters && Object.fromEntries(given),
    yes: confirm && values.yes === true,
  };
}

function parse(args: string[], options: ParseArgsOptionsConfig): { values: Values; positionals: string[] } {
  try {
    const all = { ...options, json: flag, help: { type: 'boolean', short: 'h' } } as const;
    return parseArgs({ args, options: all, allowPositionals: true }) as {
      values: Values;
      positionals: string[];
    };
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

function build(name: keyof typeof OPTIONS, values: Values, positionals: string[]): Command {
  const common = commonOf(values);
  const one = (what: string) => onlyId(name, what, positionals);
  switch (name) {
    case 'hold':
    case 'release':
      return { ...common, name, agentId: one('an agent id'), ...holdReason(name, values) };
    case 'protect':
    case 'unprotect':
      return { ...common, name, agentId: one('an agent id') };
    case 'receipt':
      return { ...common, name, agentId: one('an agent id') };
    case 'show':
      return { ...common, name, agentId: one('an agent id') };
    case 'image':
      return { ...common, name, ...imageCommand(values, positionals) };
    case 'audit':
      return { ...common, name, ...auditScope(values, positionals) };
    case 'logs':
      return { ...common, name, agentId: one('an agent id'), follow: values.follow === true };
    case 'cancel':
    case 'retry':
      return { ...common, name, operationId: one('an operation id') };
    case 'notices':
      return { ...common, name, agentId: positionals.length === 0 ? undefined : one('an agent id') };
    case 'create':
      refuseMore(positionals);
      return { ...common, name, agent: newAgent(values) };
    default:
      return buildList(name, values, positionals);
  }
}

type ListName = 'list' | 'orders' | 'attention' | 'breakers' | 'approve';

function buildList(name: ListName, values: Values, positionals: string[]): Command {
  const common = commonOf(values);
  switch (name) {
    case 'list':
      refuseMore(positionals);
      return { ...common, name, status: optional(values.status) };
    case 'orders':
      refuseMore(positionals);
      return { ...common, name, attention: values.attention === true };
    case 'attention':
      refuseMore(positionals);
      return { ...common, name };
    case 'breakers':
      refuseMore(positionals.slice(1));
      return { ...common, name, breaker: optional(positionals[0]) };
    case 'approve':
      return {
        ...common,
        name,
        breaker: onlyId(name, 'a breaker', positionals),
        count: wholeNumber(name, values.count),
      };
  }
}

const commonOf = (values: Values): Common => ({ json: values.json === true, wait: values.wait === true });
