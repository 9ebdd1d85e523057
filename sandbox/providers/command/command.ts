import { randomBytes } from 'node:crypto';
import { stable } from '../fields.ts';
import type { CallContext, CheckFailure, Invoke, PropertyChange, Resource } from '../resource.ts';
import { isRecord, type Properties, UNKNOWN_VALUE } from '../values.ts';
import { type Output, runScript } from './process.ts';

export interface CommandClient {
  /** The environment of the operation; commands inherit it. */
  environment: Readonly<Record<string, string>>;
  /** Whether the inputs of a resource or of `command:local:run` may run on this host. */
  mayRun(inputs: Properties): boolean;
}

const LOGGING_MODES = ['stdout', 'stderr', 'stdoutAndStderr', 'none'];

/** command.local.Command, with the semantics of pulumi-command 1.2.1. */
export const command: Resource<CommandClient> = {
  check: (inputs) => ({ failures: checkCommand(inputs) }),
  diff({ oldInputs, inputs }) {
    const names = [...new Set([...Object.keys(oldInputs), ...Object.keys(inputs)])];
    const changes = names
      .filter((name) => stable(oldInputs[name]) !== stable(inputs[name]))
      .map((name) => toChange(name, oldInputs[name], inputs[name]));
    return { changes, deleteBeforeReplace: true };
  },
  preview: (inputs) => ({ ...inputs, stdout: UNKNOWN_VALUE, stderr: UNKNOWN_VALUE }),
  async create(client, inputs, context) {
    const id = `${context.name}${randomBytes(4).toString('hex')}`;
    const output = await run(inputs.create, inputs, undefined, client, context);
    return { id, state: { ...inputs, ...output } };
  },
  read: async (_client, id, { state, inputs }) => ({ id, state, inputs }),
  async update(client, _id, { state, inputs }, context) {
    const output = await run(inputs.update ?? inputs.create, inputs, toOutput(state), client, context);
    return { ...inputs, ...output };
  },
  async delete(client, _id, state, context) {
    await run(state.delete, state, toOutput(state), client, context);
  },
  // A command's output may contain any of its inputs.
  secretOutputs: (secretInputs) =>
    secretInputs.size === 0 ? secretInputs : new Set([...secretInputs, 'stdout', 'stderr']),
};

/** command.local.run: runs a command at every operation, previews included. */
export const runCommand: Invoke<CommandClient> = async (client, args, context) => {
  const [failure] = checkCommand(args);
  if (failure) throw new Error(failure.reason);
  return { ...args, ...(await run(args.command, args, undefined, client, context)) };
};

function checkCommand(inputs: Properties): CheckFailure[] {
  const failures: CheckFailure[] = ['assetPaths', 'archivePaths']
    .filter((name) => inputs[name] !== undefined)
    .map((property) => ({
      property,
      reason: `"${property}" is not supported by the builtin command provider; use the official one (PROVIDERS=official)`,
    }));
  if (inputs.logging !== undefined && !LOGGING_MODES.includes(String(inputs.logging))) {
    failures.push({ property: 'logging', reason: `logging must be one of ${LOGGING_MODES.join(', ')}` });
  }
  return failures;
}

function toChange(name: string, before: unknown, after: unknown): PropertyChange {
  const kind = before === undefined ? 'add' : after === undefined ? 'delete' : 'update';
  return { path: name, kind, replaces: name === 'triggers' };
}

function toOutput(state: Properties): Output {
  return { stdout: String(state.stdout ?? ''), stderr: String(state.stderr ?? '') };
}

/** Runs one of a resource's scripts. Without a script, the output does not change. */
async function run(
  script: unknown,
  inputs: Properties,
  previous: Output | undefined,
  { environment, mayRun }: CommandClient,
  context: CallContext,
): Promise<Output> {
  if (typeof script !== 'string') return previous ?? { stdout: '', stderr: '' };
  if (!mayRun(inputs)) throw new Error("this command is not one of the stack's program: it is not run");
  const logging = inputs.logging ?? 'stdoutAndStderr';
  return runScript(
    {
      command: script,
      interpreter: Array.isArray(inputs.interpreter) ? inputs.interpreter.map(String) : [],
      dir: typeof inputs.dir === 'string' ? inputs.dir : undefined,
      stdin: typeof inputs.stdin === 'string' ? inputs.stdin : undefined,
      environment: { ...environment, ...ownEnvironment(inputs), ...previousOutput(inputs, previous) },
      onLine(stream, line) {
        if (logging === stream || logging === 'stdoutAndStderr') context.showStatus(line);
      },
    },
    context.signal,
  );
}

function ownEnvironment(inputs: Properties): Record<string, string> {
  const given = isRecord(inputs.environment) ? inputs.environment : {};
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, String(value)]));
}

function previousOutput(inputs: Properties, previous: Output | undefined): Record<string, string> {
  if (inputs.addPreviousOutputInEnv === false || !previous) return {};
  return {
    ...(previous.stdout === '' ? {} : { PULUMI_COMMAND_STDOUT: previous.stdout }),
    ...(previous.stderr === '' ? {} : { PULUMI_COMMAND_STDERR: previous.stderr }),
  };
}
