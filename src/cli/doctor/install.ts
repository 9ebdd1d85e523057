import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Config } from '../../config/config.ts';
import { complain } from '../../processes/terminal-text.mjs';
import { findPlugins } from '../../pulumi/installed-plugins.ts';
import { CommandError } from '../connection.ts';

/**
 * Installs the official provider plugins that are missing, with the service's own Pulumi CLI, where the
 * service looks for them. Output goes to standard error. @throws CommandError
 */
export async function installPlugins({ tools, childEnvironment }: Config): Promise<void> {
  const { PULUMI_HOME, HOME, PATH } = childEnvironment;
  const { missing } = findPlugins({ pulumiHome: PULUMI_HOME, home: HOME, path: PATH, cli: tools.pulumi });
  for (const { name, version } of missing) {
    complain(`Installing Pulumi’s provider plugin ${name} ${version}`);
    const args = ['plugin', 'install', 'resource', name, version];
    const child = spawn(tools.pulumi ?? 'pulumi', args, {
      env: { ...childEnvironment, PULUMI_SKIP_UPDATE_CHECK: 'true' },
      stdio: ['ignore', 2, 2],
    });
    const [code] = (await once(child, 'exit').catch((error: unknown) => [error])) as [unknown];
    if (code !== 0)
      throw new CommandError(
        `The plugin ${name} ${version} could not be installed: pulumi ${args.join(' ')}`,
      );
  }
}
