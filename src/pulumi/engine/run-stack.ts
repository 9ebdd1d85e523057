import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as pulumi from '@pulumi/pulumi';
import { LocalWorkspace, PulumiCommand, Stack } from '@pulumi/pulumi/automation/index.js';
import { isConfigurationCommand } from '../../../stacks/configuration.ts';
import { createProgram } from '../../../stacks/program.ts';
import { pulumiError, StackExistsError, StackNotFoundError } from '../errors.ts';
import { progressOf } from './engine-events.ts';
import type { Progress, StackResult, StackTask } from './messages.ts';

export interface EngineSettings {
  /** Path of the Pulumi CLI; unset: the one on the PATH. */
  pulumi?: string;
  /** Module that serves the providers inside this process, a `ProviderModule`; unset: the CLI finds plugins by itself. */
  providerHost?: string;
  /** Where each run has a work folder of its own; unset: the system's temporary folder. */
  workDir?: string;
}

/** What sandbox/providers/host.ts offers: providers inside this process. */
export interface ProviderModule {
  startProviderHost(options: {
    environment: Record<string, string>;
    mayRun(inputs: Record<string, unknown>): boolean;
  }): Promise<ProviderHost>;
}

export interface ProviderHost {
  debugProviders: string;
  abort(): Promise<void>;
  stop(): Promise<void>;
}

export interface EngineChild {
  run(task: StackTask, tell: (progress: Progress) => void, signal: AbortSignal): Promise<StackResult>;
}

const PROJECT = { name: 'agents', runtime: 'nodejs' } as const;

/**
 * The lean way to use the Automation API: one CLI process per run (two where the stack is new). The program's own process
 * gives the outputs, so `stack output` and `stack history` are not asked; the stack is named on every call, so it is not selected.
 */
export async function createEngineChild(
  settings: EngineSettings,
  providers: ProviderModule | undefined,
): Promise<EngineChild> {
  const root = settings.pulumi === undefined ? undefined : dirname(dirname(settings.pulumi));
  const command = await PulumiCommand.get(root === undefined ? {} : { root });
  return {
    run: async (task, tell, signal) => {
      const counted = countingCommand(command);
      if (settings.workDir !== undefined) await mkdir(settings.workDir, { recursive: true, mode: 0o700 });
      const workDir = await mkdtemp(join(settings.workDir ?? tmpdir(), 'agent-stacks-'));
      const host = await providers?.startProviderHost(providerOptions(task));
      signal.addEventListener('abort', () => void host?.abort(), { once: true });
      try {
        return await runTask(task, {
          command: counted,
          workDir,
          tell,
          signal,
          debugProviders: host?.debugProviders,
        });
      } catch (error) {
        throw pulumiError(error);
      } finally {
        await host?.stop();
        await rm(workDir, { recursive: true, force: true });
      }
    },
  };
}

/**
 * The providers are there for one task: their ports close with it, and its credentials are forgotten. The CLI's own ports tell no
 * callers apart, so its word is not enough to run any command but the one in the stack's program.
 */
export const providerOptions = ({ environment }: Pick<StackTask, 'environment'>) => ({
  environment,
  mayRun: isConfigurationCommand,
});

interface RunContext {
  command: CountingCommand;
  workDir: string;
  tell: (progress: Progress) => void;
  signal: AbortSignal;
  debugProviders: string | undefined;
}

async function runTask(task: StackTask, context: RunContext): Promise<StackResult> {
  const captured: Captured = { outputs: {} };
  const workspace = await LocalWorkspace.create({
    workDir: context.workDir,
    pulumiCommand: context.command,
    program: capturingProgram(task, captured),
    projectSettings: PROJECT,
    envVars: {
      ...task.environment,
      ...(context.debugProviders === undefined ? {} : { PULUMI_DEBUG_PROVIDERS: context.debugProviders }),
    },
  });
  const changes: Record<string, number> = {};
  const isRepeated = createRepetitionCheck();
  const stack = await openStack(task, workspace);
  const options = {
    signal: context.signal,
    onEvent: (event: Parameters<typeof progressOf>[0]) => {
      Object.assign(changes, event.summaryEvent?.resourceChanges);
      for (const progress of progressOf(event)) if (!isRepeated(progress)) context.tell(progress);
    },
  };
  await runVerb(task, stack, options);
  return { ...captured, changes, processes: context.command.count() };
}

/** The official plugins say every error twice, in two frames. */
function createRepetitionCheck(): (progress: Progress) => boolean {
  const errors = new Set<string>();
  return (progress) => {
    if (progress.kind !== 'diagnostic' || progress.severity !== 'error') return false;
    const isKnown = errors.has(progress.message);
    errors.add(progress.message);
    return isKnown;
  };
}

type Captured = Pick<StackResult, 'outputs' | 'userData'>;

/** The program of the stack, which also hands its resolved outputs to us: it runs in this very process. */
function capturingProgram(task: StackTask, captured: Captured): () => Promise<Record<string, unknown>> {
  // It holds secrets: it leaves this process only where it is what was asked for.
  const tellUserData = (userData: string) => {
    captured.userData = userData;
  };
  const program = createProgram(task.program, task.verb === 'renew-key' ? tellUserData : undefined);
  return async () => {
    const outputs = await program();
    pulumi.output(outputs).apply((values) => {
      captured.outputs = values;
    });
    return outputs;
  };
}

async function openStack(task: StackTask, workspace: LocalWorkspace): Promise<Stack> {
  // Every call names the stack; selecting it would cost a process and change nothing.
  workspace.selectStack = async () => {};
  if (task.mayBeNew) {
    try {
      return lean(await Stack.create(task.stackName, workspace));
    } catch (error) {
      if (!(pulumiError(error) instanceof StackExistsError)) throw error;
    }
  }
  return lean(await Stack.select(task.stackName, workspace));
}

/** Without the processes that the SDK starts after each run to read what we already have. */
function lean(stack: Stack): Stack {
  stack.outputs = async () => ({});
  stack.info = async () => undefined;
  return stack;
}

type RunOptions = { signal: AbortSignal; onEvent: (event: Parameters<typeof progressOf>[0]) => void };

async function runVerb(task: StackTask, stack: Stack, options: RunOptions): Promise<void> {
  switch (task.verb) {
    case 'up':
      await stack.up(options);
      return;
    case 'renew-key':
      await stack.up({ ...options, target: [keyUrn(task.stackName)] });
      return;
    case 'refresh':
      await stack.refresh({ ...options, clearPendingCreates: true });
      return;
    case 'destroy':
      try {
        // A server that is already gone would fail the delete; a refresh first finds that out.
        await stack.destroy({ ...options, refresh: true });
      } catch (error) {
        if (!(pulumiError(error) instanceof StackNotFoundError)) throw error;
      }
      return;
    case 'unlock':
      await stack.cancel();
      return;
  }
}

const keyUrn = (stackName: string) =>
  `urn:pulumi:${stackName}::${PROJECT.name}::tailscale:index/tailnetKey:TailnetKey::tailnet-key`;

type RunCommand = (args: string[], cwd: string, ...rest: unknown[]) => Promise<unknown>;
/** The SDK hides `run` from its types, though every workspace calls it. */
type RunnableCommand = PulumiCommand & { run: RunCommand };
type CountingCommand = RunnableCommand & { count(): number };

/**
 * The same command, counting the processes it starts. A destroy takes the emptied stack away in the same process. A new stack is not
 * selected: the CLI would note that in its home folder, a file for each temporary work folder, with the backend's address and the
 * password in it.
 */
function countingCommand(command: PulumiCommand): CountingCommand {
  let count = 0;
  const run: RunCommand = (args, cwd, ...rest) => {
    count += 1;
    return (command as RunnableCommand).run([...args, ...extraOptions(args)], cwd, ...rest);
  };
  return Object.assign(Object.create(command) as PulumiCommand, { run, count: () => count });
}

function extraOptions([verb, subverb]: string[]): string[] {
  // Plugins are served by this process or were installed beforehand: looking for them before each run is for nothing.
  if (verb === 'destroy') return ['--remove', '--skip-plugin-pre-install'];
  if (verb === 'up' || verb === 'refresh') return ['--skip-plugin-pre-install'];
  return verb === 'stack' && subverb === 'init' ? ['--no-select'] : [];
}
