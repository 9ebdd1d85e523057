import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { PLUGINS, sdkVersion } from './plugins.ts';

/** Where the Pulumi CLI looks for plugins. */
export interface PluginLocations {
  /** `PULUMI_HOME`, or undefined for `~/.pulumi`. */
  pulumiHome: string | undefined;
  home: string | undefined;
  path: string | undefined;
  /** The CLI's executable: it also finds plugins in the same folder. */
  cli: string | undefined;
}

export interface MissingPlugin {
  name: string;
  version: string;
}

/** Finds the stacks' provider plugins that the CLI is missing. `folder` is where it installs plugins. */
export function findPlugins(locations: PluginLocations): { missing: MissingPlugin[]; folder: string } {
  const folder = join(locations.pulumiHome ?? join(locations.home ?? '', '.pulumi'), 'plugins');
  const onPath = [
    ...(locations.path ?? '').split(delimiter).filter((entry) => entry !== ''),
    ...(locations.cli === undefined ? [] : [dirname(locations.cli)]),
  ];
  const missing = PLUGINS.map((name) => ({ name, version: sdkVersion(name) })).filter(
    (plugin) =>
      !isInstalled(folder, plugin) && !onPath.some((entry) => isExecutable(join(entry, program(plugin)))),
  );
  return { missing, folder };
}

const program = ({ name }: MissingPlugin) => `pulumi-resource-${name}`;

/**
 * The CLI accepts only the version that a stack's SDK requests. An unfinished installation has a `.partial`
 * file beside it.
 */
function isInstalled(folder: string, plugin: MissingPlugin): boolean {
  const path = join(folder, `resource-${plugin.name}-v${plugin.version}`);
  return !existsSync(`${path}.partial`) && isExecutable(join(path, program(plugin)));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
