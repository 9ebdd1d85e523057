import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as pulumi from '@pulumi/pulumi';
import { LocalWorkspace, Stack } from '@pulumi/pulumi/automation/index.js';
import { isConfigurationCommand } from '../../../stacks/configuration.ts';
import { createProgram, type StackProgram } from '../../../stacks/program.ts';
import { moveError, pulumiError, StackExistsError, StackNotFoundError } from '../errors.ts';
import { StateKeyError } from '../state-key-error.ts';
import { assertOnlyImports } from './assert-only-imports.ts';
import { createRepetitionCheck, toProgress } from './engine-events.ts';
import { collectResources } from './found-resources.ts';
import type { Progress, StackResult, StackTask } from './messages.ts';
import { moveSecrets } from './move-secrets.ts';
import { type CountingCommand, countingCommand, openCommand, type PulumiProgram } from './pulumi-command.ts';

export interface EngineSettings extends PulumiProgram {
  /** A `ProviderModule` that serves the providers in this process; unset: the CLI finds plugins by itself. */
  providerHost?: string;
  /** Parent folder of the runs' work folders; unset: the system's temporary folder. */
  workDir?: string;
}

/** The interface of sandbox/providers/host.ts: providers in this process. */
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

/** The Pulumi SDK, ready to run tasks one after another. */
export interface PulumiSdk {
  /** The Pulumi CLI's. */
  version: string | undefined;
  run(task: StackTask, tell: (progress: Progress) => void, signal: AbortSignal): Promise<StackResult>;
}

const PROJECT = { name: 'agents', runtime: 'nodejs' } as const;

/**
 * Uses the Automation API with one CLI process per run (two for a new stack). The outputs come from the
 * program, which runs in this process, so `stack output` and `stack history` are not needed. Every call names
 * its stack, so none is selected.
 */
export async function openSdk(
  settings: EngineSettings,
  providers: ProviderModule | undefined,
): Promise<PulumiSdk> {
  const command = await openCommand(settings);
  return {
    version: command.version?.version,
    run: async (task, tell, signal) => {
      if (settings.workDir !== undefined) await mkdir(settings.workDir, { recursive: true, mode: 0o700 });
      const workDir = await mkdtemp(join(settings.workDir ?? tmpdir(), 'agent-stacks-'));
      let host: ProviderHost | undefined;
      try {
        host = await providers?.startProviderHost(providerOptions(task));
        // A listener added now would not hear of an earlier abort.
        signal.throwIfAborted();
        signal.addEventListener('abort', () => void host?.abort(), { once: true });
        const debugProviders = host?.debugProviders;
        const counted = countingCommand(command, signal);
        return await runTask(task, { command: counted, workDir, tell, signal, debugProviders });
      } catch (error) {
        throw pulumiError(error);
      } finally {
        await host?.stop();
        // A folder that stays must not fail the run; it is removed with this process.
        await rm(workDir, { recursive: true, force: true }).catch(() => {});
      }
    },
  };
}

/**
 * The providers live for one task, and their ports and credentials end with it. The CLI's ports do not
 * authenticate callers, so only the command in the stack's program may run.
 */
export const providerOptions = ({ environment }: Pick<StackTask, 'environment'>) => ({
  environment,
  mayRun: isConfigurationCommand,
});

const MOVING = 'Moving the secrets of the state to the configured provider';
const STAYS = 'They stay with the provider that they have, and are moved by a later run';

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
    program: 'program' in task ? capturingProgram(task, captured) : nothing,
    projectSettings: PROJECT,
    ...(task.secretsProvider === undefined ? {} : { secretsProvider: task.secretsProvider }),
    envVars: {
      ...task.environment,
      // A rename selects the stack: the CLI would leave the backend's address with its password at home.
      ...(task.verb === 'rename' && { PULUMI_HOME: context.workDir }),
      ...(context.debugProviders === undefined ? {} : { PULUMI_DEBUG_PROVIDERS: context.debugProviders }),
    },
  });
  const changes: Record<string, number> = {};
  const resources = collectResources(task.verb);
  const isRepeated = createRepetitionCheck();
  const stack = await openStack(task, workspace);
  context.signal.throwIfAborted();
  if (task.moveSecretsTo !== undefined) await moveOrStay(task, task.moveSecretsTo, context);
  const options = {
    signal: context.signal,
    onEvent: (event: Parameters<typeof toProgress>[0]) => {
      Object.assign(changes, event.summaryEvent?.resourceChanges);
      resources.add(event);
      for (const progress of toProgress(event)) if (!isRepeated(progress)) context.tell(progress);
    },
  };
  await runVerb(task, stack, options);
  return { ...captured, changes, processes: context.command.count(), resources: resources.found() };
}

/**
 * Moves the stack's secrets to another provider. If that one cannot be used, only a run that does nothing
 * else fails: any other works with what its state names, and the next one tries again.
 */
async function moveOrStay(task: StackTask, provider: string, context: RunContext): Promise<void> {
  context.tell({ kind: 'diagnostic', severity: 'info', message: MOVING });
  try {
    await moveSecrets(context, { ...task, provider });
  } catch (error) {
    const failure = moveError(error);
    if (!(failure instanceof StateKeyError)) throw error;
    if (task.verb === 'move') throw failure;
    const message = `${STAYS}: ${failure.message}`;
    context.tell({ kind: 'diagnostic', severity: 'warning', message });
  }
  // The SDK does not notice a signal that has aborted before.
  context.signal.throwIfAborted();
}

type Captured = Pick<StackResult, 'outputs' | 'userData'>;

/** The SDK needs a program for every stack; refresh, destroy and unlock do not run it. */
const nothing = async () => ({});

/** Wraps the stack's program, which runs in this process, to capture its resolved outputs. */
function capturingProgram(
  task: Extract<StackTask, { program: StackProgram }>,
  captured: Captured,
): () => Promise<Record<string, unknown>> {
  // It holds secrets, so it leaves this process only if the task asks for it.
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
  // Every call names the stack; selecting it would only cost a process.
  workspace.selectStack = async () => {};
  if (task.verb === 'up' && task.mayBeNew) {
    try {
      return lean(await Stack.create(task.stackName, workspace));
    } catch (error) {
      if (!(pulumiError(error) instanceof StackExistsError)) throw error;
    }
  }
  return lean(await Stack.select(task.stackName, workspace));
}

/** Skips the processes that the SDK starts after each run to read values that we already have. */
function lean(stack: Stack): Stack {
  stack.outputs = async () => ({});
  stack.info = async () => undefined;
  return stack;
}

type RunOptions = { signal: AbortSignal; onEvent: (event: Parameters<typeof toProgress>[0]) => void };

async function runVerb(task: StackTask, stack: Stack, options: RunOptions): Promise<void> {
  switch (task.verb) {
    case 'up':
      await stack.up(options);
      return;
    case 'renew-key':
      await stack.up({ ...options, target: [keyUrn(task.stackName)] });
      return;
    case 'import':
      await assertOnlyImports(stack, options.signal);
      await stack.up(options);
      return;
    case 'refresh':
      await stack.refresh({ ...options, clearPendingCreates: true });
      return;
    case 'destroy':
      try {
        // Deleting a server that is already gone fails, so refresh first.
        await stack.destroy({ ...options, refresh: true });
      } catch (error) {
        if (!(pulumiError(error) instanceof StackNotFoundError)) throw error;
      }
      return;
    case 'rename':
      await stack.rename({ stackName: task.to, signal: options.signal });
      return;
    case 'unlock':
      await stack.cancel();
      return;
    case 'move':
      return;
  }
}

const keyUrn = (stackName: string) =>
  `urn:pulumi:${stackName}::${PROJECT.name}::tailscale:index/tailnetKey:TailnetKey::tailnet-key`;
