import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

export const USAGE = `npm run agents -- <command>

  list [--status STATUS]            all agents, newest first
  show AGENT                        one agent with its operations
  create --user-id ID --region REGION [--agent-id ID] [--plan PLAN] [--wait]
                                    create an agent without an order
  stop AGENT [--wait]               switch its server off; data is kept and billing goes on
  start AGENT [--wait]              switch it on and wait until it is healthy
  restart AGENT [--wait]            switch it off and on again
  reconfigure AGENT [--wait]        run this installation's version of the playbook again
  resize AGENT --plan PLAN [--wait] change its plan: a server of that size with the same disk
  rebuild AGENT [--yes] [--wait]    reinstall its server; everything on its disk is lost
  refresh AGENT [--wait]            check its resources and its health
  destroy AGENT [--yes] [--wait]    delete the agent's server, keys and device
  ssh AGENT [COMMAND…]              open a shell on its server over the tailnet, or run one command
  logs AGENT [-f]                   log of its newest operation; -f follows it until it ends
  cancel OPERATION                  cancel an unfinished operation
  retry OPERATION [--wait]          start the next attempt of a failed operation
  orders [--attention]              all orders; --attention: only those that need a person

  --json     machine-readable output
  --wait     until the operation has finished; exits 1 if it failed

The service is found through DATA_DIR/sandbox.json, or through PUBLIC_URL and API_TOKEN.
ssh needs the service's own DATA_DIR, or in live mode its environment.
`;

/** The command line is invalid; the usage text is printed after the message. */
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

/** Parses the command line. @throws UsageError */
export function parseCommand(argv: readonly string[]): Command {
  const [name, ...rest] = argv;
  if (name === undefined) throw new UsageError('No command given.');
  if (name === 'help' || name === '--help' || name === '-h')
    return { name: 'help', json: false, wait: false };
  if (name === 'ssh') return sshCommand(rest);
  if (!Object.hasOwn(OPTIONS, name)) throw new UsageError(`Unknown command: ${name}`);
  const known = name as keyof typeof OPTIONS;
  const { values, positionals } = parse(rest, OPTIONS[known]);
  if (values.help === true) return { name: 'help', json: false, wait: false };
  return build(known, values, positionals);
}

/** Everything after the agent id belongs to the remote command, options included. */
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
  if (positionals[0] !== undefined) throw new UsageError(`Unexpected argument: ${positionals[0]}`);
}
