import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PulumiCommand } from '@pulumi/pulumi/automation/index.js';
import { PASSPHRASE } from '../../config/secrets-provider.ts';
import { StateKeyError } from '../state-key-error.ts';

export type RunCommand = (args: string[], cwd: string, ...rest: unknown[]) => Promise<unknown>;

/** For a new passphrase the CLI asks its standard input, twice, even if the environment has it. */
const FEED = 'printf "%s\\n%s\\n" "$PULUMI_CONFIG_PASSPHRASE" "$PULUMI_CONFIG_PASSPHRASE" | "$0" "$@"';

/** A key service that accepts the call and says nothing must not take the whole time of the operation. */
const LIMIT_SECONDS = 60;

/**
 * Moves a stack's secrets to another provider. The CLI replaces the state in Postgres in one write: a kill
 * leaves the old or the new one, and either names the provider that opens it, so the next run does what is
 * left. What the CLI writes into the work folder holds no plain text.
 */
export async function moveSecrets(
  { command, workDir }: { command: PulumiCommand & { run: RunCommand }; workDir: string },
  task: { stackName: string; provider: string; environment: Record<string, string> },
): Promise<void> {
  const { stackName, provider, environment } = task;
  const args = ['stack', 'change-secrets-provider', provider, '--stack', stackName];
  try {
    if (provider === PASSPHRASE) {
      // As the SDK would run the CLI, but in a shell. Only its own method reads the program's path.
      const shell = Object.create(command, { command: { value: '/bin/sh' } }) as typeof command;
      const { run } = PulumiCommand.prototype as unknown as { run: RunCommand };
      await run.call(shell, ['-c', FEED, command.command, ...args], workDir, environment);
    } else await runLimited(command, args, workDir, environment);
  } finally {
    // The run that follows takes everything from the state.
    await rm(join(workDir, `Pulumi.${stackName}.yaml`), { force: true });
  }
}

async function runLimited(
  command: { run: RunCommand },
  args: string[],
  workDir: string,
  environment: Record<string, string>,
): Promise<void> {
  const limit = AbortSignal.timeout(LIMIT_SECONDS * 1000);
  try {
    await command.run(args, workDir, environment, undefined, undefined, undefined, limit);
  } catch (error) {
    if (!limit.aborted) throw error;
    throw new StateKeyError(`The secrets provider did not answer within ${LIMIT_SECONDS} s`, {
      cause: error,
    });
  }
}
