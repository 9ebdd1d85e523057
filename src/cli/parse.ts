import { or } from '@optique/core/constructs';
import { runParser } from '@optique/core/facade';
import { formatMessage, lineBreak } from '@optique/core/message';
import type { Mode, Parser } from '@optique/core/parser';
import { type Candidates, createArguments } from './arguments.ts';
import { type Asked, type Command, PROGRAM, toText } from './command.ts';
import { abandon } from './commands/abandon.ts';
import { adopt } from './commands/adopt.ts';
import { create, logs, show } from './commands/agents.ts';
import { canary } from './commands/canary.ts';
import { doctor } from './commands/doctor.ts';
import { hold, protect, release, unprotect } from './commands/holds.ts';
import { image } from './commands/images.ts';
import { init } from './commands/init.ts';
import { approve, attention, breakers } from './commands/limits.ts';
import { list } from './commands/lists.ts';
import { mcp } from './commands/mcp.ts';
import { cancel, operationCommands, retry } from './commands/operations.ts';
import { orders } from './commands/orders.ts';
import { people } from './commands/people.ts';
import { pool } from './commands/pool.ts';
import { projects } from './commands/projects.ts';
import { audit, notices, open, receipt } from './commands/records.ts';
import { backup, rebuildState, restore } from './commands/recovery.ts';
import { rekey } from './commands/rekey.ts';
import { sessions } from './commands/sessions.ts';
import { snapshots } from './commands/snapshots.ts';
import { ssh } from './commands/ssh.ts';
import { tokens } from './commands/tokens.ts';
import { watch } from './commands/watch.ts';
import { UsageError } from './connection.ts';

const NO_CANDIDATES: Candidates = { agents: async () => [], operations: async () => [] };

/** The commands that are about no agent. */
const INSTALLATION: readonly Command[] = [
  image,
  projects,
  pool,
  init,
  doctor,
  canary,
  rekey,
  people,
  tokens,
  sessions,
  backup,
  restore,
  rebuildState,
  mcp,
];

/** Every command, in the order of the help. */
function createCommands(candidates: Candidates): Command[] {
  const shared = createArguments(candidates);
  return [
    list,
    watch(shared),
    show(shared),
    open(shared),
    create,
    adopt(shared),
    abandon(shared),
    ...operationCommands(shared),
    hold(shared),
    release(shared),
    protect(shared),
    unprotect(shared),
    ssh(shared),
    logs(shared),
    cancel(shared),
    retry(shared),
    orders(shared),
    notices(shared),
    attention,
    breakers,
    approve,
    audit(shared),
    receipt(shared),
    snapshots(shared),
    ...INSTALLATION,
  ];
}

/** What a command line is: a command, or a text to print, such as help or a shell's completions. */
export type Parsed = { asked: Asked } | { text: string; isForShell: boolean };

interface ParseOptions {
  candidates?: Candidates;
  /** The width of the help. */
  width?: number | undefined;
}

/** @throws UsageError that says what is wrong, and what was probably meant */
export async function parseCommand(
  argv: readonly string[],
  { candidates = NO_CANDIDATES, width }: ParseOptions = {},
): Promise<Parsed> {
  const commands = createCommands(candidates);
  // What follows ssh belongs to the remote command, even this option.
  if (argv[0] === 'ssh' && ['-h', '--help'].includes(argv[1] ?? ''))
    return parseCommand(['help', 'ssh'], { candidates, width });
  if (argv.length === 0) throw new UsageError(`No command given.\n${seeHelp()}`);
  // Parsed alone, a command's own options are what a misspelt one is compared with.
  const named = commands.find(({ name }) => name === argv[0]);
  const shown: string[] = [];
  const asked = await runParser(named?.parser ?? anyOf(commands), PROGRAM, argv, {
    brief: toText('The operator’s commands of agent-stacks'),
    footer: FOOTER.flatMap((line) => [...toText(line), lineBreak()]),
    help: { command: true, option: { names: ['-h', '--help'] }, onShow: () => undefined },
    completion: { command: true, onShow: () => undefined },
    showUsage: named !== undefined,
    aboveError: 'none',
    ...(width !== undefined && { maxWidth: width }),
    stdout: (text) => shown.push(text),
    stderr: () => {},
    onError: (_code, error) => {
      throw new UsageError(`${formatMessage(error, { quotes: false }).trim()}\n${seeHelp(named?.name)}`);
    },
  });
  if (asked !== undefined) return { asked: asked as Asked };
  return { text: shown.join('\n'), isForShell: argv[0] === 'completion' };
}

/** The library's types stop at fifteen alternatives. */
function anyOf(commands: readonly Command[]): Parser<Mode, Asked, unknown> {
  const join = or as unknown as (...parsers: unknown[]) => Parser<Mode, Asked, unknown>;
  return join(...commands.map(({ parser }) => parser));
}

const seeHelp = (name?: string) => `See: ${PROGRAM} ${name === undefined ? '' : `${name} `}--help`;

const FOOTER = [
  'Every command has --help with examples, and --json where it prints something.',
  `${PROGRAM} stands for: npm run agents --`,
  'The service is found through DATA_DIR/sandbox.json, or through PUBLIC_URL and API_TOKEN.',
  'Exit codes: 0 success, 1 failure, 2 a command line that was not understood; ssh exits as ssh does.',
];
