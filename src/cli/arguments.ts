import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

export const USAGE = `npm run agents -- <command>

  list [--status STATUS]            all agents, newest first
  show AGENT                        one agent with its operations
  create --user-id ID --region REGION [--agent-id ID] [--plan PLAN] [--wait]
                                    an agent without an order
  stop AGENT [--wait]               switch its server off; everything is kept, and billed
  start AGENT [--wait]              switch it on again, and wait for a healthy answer
  restart AGENT [--wait]            off and on again
  reconfigure AGENT [--wait]        run the playbook again, in this installation's version
  resize AGENT --plan PLAN [--wait] another plan: a server of that size, the same disk
  rebuild AGENT [--yes] [--wait]    install its disk anew; what is on it is lost
  refresh AGENT [--wait]            look what is there and whether it is healthy
  destroy AGENT [--yes] [--wait]    remove everything of an agent
  ssh AGENT [COMMAND…]              a shell on its server, or one command there, over the tailnet
  logs AGENT [-f]                   what its newest operation tells; -f follows it to its end
  cancel OPERATION                  ask an unfinished operation to end
  retry OPERATION [--wait]          the next attempt of one that failed
  orders [--attention]              what was bought; --attention: what needs a person

  --json     for machines
  --wait     until the operation has finished; exits 1 if it failed

The service is found by DATA_DIR/sandbox.json, or by PUBLIC_URL and API_TOKEN.
ssh needs what the service itself has: its DATA_DIR, or in live mode its environment.
`;

/** The command line cannot be understood; usage follows the message. */
export class UsageError extends Error {
  override name = 'UsageError';
}

interface Common {
  json: boolean;
  wait: boolean;
}

export type Command = Common &
  (
    | { name: 'help' }
    | { name: 'list'; status: string | undefined }
    | { name: 'orders'; attention: boolean }
    | { name: 'show'; agentId: string }
    | { name: 'start' | 'stop' | 'restart' | 'reconfigure' | 'refresh'; agentId: string }
    | { name: 'resize'; agentId: string; plan: string }
    | { name: 'rebuild' | 'destroy'; agentId: string; yes: boolean }
    | { name: 'ssh'; agentId: string; command: string[] }
    | { name: 'logs'; agentId: string; follow: boolean }
    | { name: 'cancel' | 'retry'; operationId: string }
    | { name: 'create'; agent: { agentId?: string; userId: string; region: string; plan?: string } }
  );

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;

const OPTIONS = {
  list: { status: text },
  show: {},
  create: { 'agent-id': text, 'user-id': text, region: text, plan: text, wait: flag },
  start: { wait: flag },
  stop: { wait: flag },
  restart: { wait: flag },
  reconfigure: { wait: flag },
  resize: { plan: text, wait: flag },
  rebuild: { yes: { type: 'boolean', short: 'y' }, wait: flag },
  refresh: { wait: flag },
  destroy: { yes: { type: 'boolean', short: 'y' }, wait: flag },
  logs: { follow: { type: 'boolean', short: 'f' } },
  cancel: {},
  retry: { wait: flag },
  orders: { attention: flag },
} satisfies Record<string, ParseArgsOptionsConfig>;

/** What a command line asks for. @throws UsageError */
export function parseCommand(argv: readonly string[]): Command {
  const [name, ...rest] = argv;
  if (name === undefined) throw new UsageError('A command is missing.');
  if (name === 'help' || name === '--help' || name === '-h')
    return { name: 'help', json: false, wait: false };
  if (name === 'ssh') return sshCommand(rest);
  if (!Object.hasOwn(OPTIONS, name)) throw new UsageError(`There is no command ${name}.`);
  const known = name as keyof typeof OPTIONS;
  const { values, positionals } = parse(rest, OPTIONS[known]);
  if (values.help === true) return { name: 'help', json: false, wait: false };
  return build(known, values, positionals);
}

/** What follows the agent belongs to the command there, whatever it looks like. */
function sshCommand([agentId, ...command]: string[]): Command {
  const common = { json: false, wait: false };
  if (agentId === '--help' || agentId === '-h') return { ...common, name: 'help' };
  if (agentId === undefined || agentId.startsWith('-')) throw new UsageError('ssh needs an agent id.');
  return { ...common, name: 'ssh', agentId, command: command[0] === '--' ? command.slice(1) : command };
}

type Values = Record<string, string | boolean | undefined>;

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
  const common = { json: values.json === true, wait: values.wait === true };
  const one = (what: string) => {
    const [id, ...more] = positionals;
    if (id === undefined || id === '') throw new UsageError(`${name} needs ${what}.`);
    refuseMore(more);
    return id;
  };
  switch (name) {
    case 'show':
    case 'start':
    case 'stop':
    case 'restart':
    case 'reconfigure':
    case 'refresh':
      return { ...common, name, agentId: one('an agent id') };
    case 'resize': {
      const plan = optional(values.plan);
      if (plan === undefined) throw new UsageError('resize needs --plan.');
      return { ...common, name, agentId: one('an agent id'), plan };
    }
    case 'rebuild':
    case 'destroy':
      return { ...common, name, agentId: one('an agent id'), yes: values.yes === true };
    case 'logs':
      return { ...common, name, agentId: one('an agent id'), follow: values.follow === true };
    case 'cancel':
    case 'retry':
      return { ...common, name, operationId: one('an operation id') };
    case 'list':
      refuseMore(positionals);
      return { ...common, name, status: optional(values.status) };
    case 'orders':
      refuseMore(positionals);
      return { ...common, name, attention: values.attention === true };
    case 'create':
      refuseMore(positionals);
      return { ...common, name, agent: newAgent(values) };
  }
}

function newAgent(values: Values) {
  const userId = optional(values['user-id']);
  const region = optional(values.region);
  if (userId === undefined) throw new UsageError('create needs --user-id.');
  if (region === undefined) throw new UsageError('create needs --region.');
  const agentId = optional(values['agent-id']);
  const plan = optional(values.plan);
  return { userId, region, ...(agentId ? { agentId } : {}), ...(plan ? { plan } : {}) };
}

function optional(value: string | boolean | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function refuseMore(positionals: readonly string[]): void {
  if (positionals[0] !== undefined) throw new UsageError(`Nothing is known about ${positionals[0]}.`);
}
