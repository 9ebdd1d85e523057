import { dirname } from 'node:path';
import { PulumiCommand } from '@pulumi/pulumi/automation/index.js';
import semver from 'semver';
import type { RunCommand } from './move-secrets.ts';

export interface PulumiProgram {
  /** Path of the Pulumi CLI; unset: the one on the PATH. */
  pulumi?: string;
  /** Its version, as an engine process with the same CLI has found it; unset: the CLI is asked. */
  pulumiVersion?: string;
}

/** A version that is known already spares a process of the CLI, half of an engine process's start. */
export async function openCommand({ pulumi: path, pulumiVersion }: PulumiProgram): Promise<PulumiCommand> {
  if (pulumiVersion !== undefined) {
    const Command = PulumiCommand as unknown as CommandConstructor;
    return new Command(path ?? 'pulumi', new semver.SemVer(pulumiVersion));
  }
  return PulumiCommand.get(path === undefined ? {} : { root: dirname(dirname(path)) });
}

/** The SDK's types hide the constructor, and offer nothing else that does not ask the CLI. */
type CommandConstructor = new (path: string, version: semver.SemVer) => PulumiCommand;
/** The SDK's types hide `run`, though every workspace calls it. */
type RunnableCommand = PulumiCommand & { run: RunCommand };
export type CountingCommand = RunnableCommand & { count(): number };

/**
 * Wraps the command to count its processes. A destroy also removes the emptied stack in the same process. A
 * new stack is not selected: for each temporary work folder, the CLI would leave a file with the backend's
 * address and password in its home folder.
 *
 * No process starts after the abort: the SDK only listens for a later one, so that the CLI would run on until
 * it is killed in the middle of a create.
 */
export function countingCommand(command: PulumiCommand, signal: AbortSignal): CountingCommand {
  let count = 0;
  const run: RunCommand = async (args, cwd, ...rest) => {
    signal.throwIfAborted();
    count += 1;
    return (command as RunnableCommand).run([...args, ...extraOptions(args)], cwd, ...rest);
  };
  return Object.assign(Object.create(command) as PulumiCommand, { run, count: () => count });
}

function extraOptions([verb, subverb]: string[]): string[] {
  // Plugins are served by this process or installed, so the CLI need not look for them.
  if (verb === 'destroy') return ['--remove', '--skip-plugin-pre-install'];
  if (verb === 'up' || verb === 'refresh' || verb === 'preview') return ['--skip-plugin-pre-install'];
  return verb === 'stack' && subverb === 'init' ? ['--no-select'] : [];
}
