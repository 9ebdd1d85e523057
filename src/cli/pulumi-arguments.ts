/** The parts of a Pulumi command line that the wrapper acts on. All else is passed through. */
export interface PulumiArguments {
  /** The words before the first option: `['stack', 'output']`. */
  words: string[];
  stackName: string | undefined;
}

/** Options that take their value as the next word and may precede the command. */
const WITH_VALUE = new Set([
  '-s',
  '--stack',
  '-C',
  '--cwd',
  '--color',
  '-v',
  '--verbose',
  '--tracing',
  '--profiling',
]);

export function readArguments(args: readonly string[]): PulumiArguments {
  const words: string[] = [];
  let stackName: string | undefined;
  for (let index = 0; index < args.length; index += 1) {
    const word = args[index]!;
    if (word === '--stack' || word === '-s') stackName = args[index + 1];
    else if (word.startsWith('--stack=')) stackName = word.slice('--stack='.length);
    else if (/^-s[^-]/.test(word)) stackName = word.slice(2).replace(/^=/, '');
    else if (!word.startsWith('-')) words.push(word);
    if (WITH_VALUE.has(word)) index += 1;
  }
  // `organization/project/stack` and `project/stack` name the same stack.
  return { words, stackName: (stackName ?? positionalStack(words))?.split('/').at(-1) };
}

/**
 * `pulumi cancel <stack>`, `pulumi stack rm <stack>` and similar commands take the stack as a positional
 * argument.
 */
function positionalStack(words: string[]): string | undefined {
  if (words[0] === 'cancel') return words[1];
  return words[0] === 'stack' && ['rm', 'select', 'init'].includes(words[1] ?? '') ? words[2] : undefined;
}

/** Commands that run the stack's program, and so can use one that is already served. */
const RUNS_PROGRAM = new Set(['preview', 'pre', 'up', 'update', 'refresh', 'destroy']);
const CHANGES = new Set([
  'up',
  'update',
  'refresh',
  'destroy',
  'import',
  'cancel',
  'state',
  'watch',
  'rename',
]);
const STACK_CHANGES = new Set(['rm', 'import', 'rename', 'init', 'change-secrets-provider']);

export function runsProgram({ words }: PulumiArguments): boolean {
  return RUNS_PROGRAM.has(words[0] ?? '');
}

/** Returns why the command must not run at all, or undefined if it may. */
export function refusal({ words, stackName }: PulumiArguments): string | undefined {
  if ((words[0] === 'stack' && words[1] === 'rename') || words[0] === 'rename') {
    return 'The service finds a stack by its name and would lose a renamed one.';
  }
  if (words[1] === 'change-secrets-provider' && words[2] === 'passphrase') {
    return 'The CLI would ask for a new passphrase, which the service would not know. Set PULUMI_SECRETS_PROVIDER_BEFORE to the present provider: each stack moves at its next operation.';
  }
  if (stackName !== undefined && /[_%]/.test(stackName)) {
    return `The stack name ${stackName} contains _ or %: Pulumi's Postgres backend treats these as wildcards and would mix stacks up.`;
  }
  return undefined;
}

/**
 * Whether the command may write the stack's state. Such a command must not run beside one of the queue's
 * operations.
 */
export function changesStack({ words }: PulumiArguments): boolean {
  return CHANGES.has(words[0] ?? '') || (words[0] === 'stack' && STACK_CHANGES.has(words[1] ?? ''));
}

/** A stack that is made by hand gets the installation's secrets provider, unless another is named. */
export function withSecretsProvider(
  args: readonly string[],
  { words }: PulumiArguments,
  provider: string,
): string[] {
  const isInit = words[0] === 'stack' && words[1] === 'init';
  const isChosen = provider === 'passphrase' || args.some((word) => word.startsWith('--secrets-provider'));
  return isInit && !isChosen ? [...args, `--secrets-provider=${provider}`] : [...args];
}
