import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { PLUGINS, sdkVersion } from './plugins.ts';

/** Where the Pulumi CLI looks for plugins. */
export interface PluginPlaces {
  /** `PULUMI_HOME`, or undefined for `~/.pulumi`. */
  pulumiHome: string | undefined;
  home: string | undefined;
  path: string | undefined;
  /** The CLI's own program: plugins beside it count too. */
  cli: string | undefined;
}

export interface MissingPlugin {
  name: string;
  version: string;
}

/**
 * Which of the stacks' provider plugins the CLI would not find. `folder` is where it keeps those that it
 * installs.
 */
export function findPlugins(places: PluginPlaces): { missing: MissingPlugin[]; folder: string } {
  const folder = join(places.pulumiHome ?? join(places.home ?? '', '.pulumi'), 'plugins');
  const onPath = [
    ...(places.path ?? '').split(delimiter).filter((entry) => entry !== ''),
    ...(places.cli === undefined ? [] : [dirname(places.cli)]),
  ];
  const missing = PLUGINS.map((name) => ({ name, version: sdkVersion(name) })).filter(
    (plugin) =>
      !isInstalled(folder, plugin) && !onPath.some((entry) => isExecutable(join(entry, program(plugin)))),
  );
  return { missing, folder };
}

const program = ({ name }: MissingPlugin) => `pulumi-resource-${name}`;

/**
 * The CLI takes the version that a stack's SDK asks for and no other; what it has not finished installing has
 * a mark beside it.
 */
function isInstalled(folder: string, plugin: MissingPlugin): boolean {
  const place = join(folder, `resource-${plugin.name}-v${plugin.version}`);
  return !existsSync(`${place}.partial`) && isExecutable(join(place, program(plugin)));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
