import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SecretsProvider } from '../config/secrets-provider.ts';
import { pulumiError } from './errors.ts';
import { StateKeyError } from './state-key-error.ts';

const run = promisify(execFile);

/** The key, and what its use needs. */
export interface KeyUse {
  /** The key as Pulumi's secrets provider. */
  url: string;
  secrets: Pick<SecretsProvider, 'environment'>;
  /** Path of the Pulumi CLI; unset: the one on the PATH. */
  pulumi: string | undefined;
  /** The environment of child processes. */
  environment: Record<string, string>;
}

/** Less than a check may take. */
const LIMIT_SECONDS = 9;

/**
 * Encrypts and decrypts once with the key, as the CLI does for a new stack, in a state that is thrown away.
 * @throws StateKeyError if that fails; RetryableError if the CLI cannot be run
 */
export async function tryStateKey({ url, secrets, pulumi, environment }: KeyUse): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'agent-stacks-key-'));
  const given = Object.entries(secrets.environment).map(([name, value]) => [name, value.reveal()]);
  const env = {
    ...environment,
    ...Object.fromEntries(given),
    PULUMI_BACKEND_URL: `file://${join(folder, 'state')}`,
    PULUMI_HOME: join(folder, 'home'),
    PULUMI_SKIP_UPDATE_CHECK: 'true',
  };
  const args = ['stack', 'init', 'key', '--secrets-provider', url, '--no-select', '--non-interactive'];
  try {
    await mkdir(join(folder, 'state'));
    await writeFile(join(folder, 'Pulumi.yaml'), 'name: agents\nruntime: nodejs\n');
    const limits = { timeout: LIMIT_SECONDS * 1000, killSignal: 'SIGKILL' } as const;
    await run(pulumi ?? 'pulumi', args, { cwd: folder, env, ...limits });
  } catch (error) {
    if ((error as { killed?: boolean }).killed !== true) throw pulumiError(error);
    throw new StateKeyError(`The secrets provider did not answer within ${LIMIT_SECONDS} s`, {
      cause: error,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
