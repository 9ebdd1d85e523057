import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PLUGIN = fileURLToPath(new URL('../e2e/processes/plugin.ts', import.meta.url));

export type PluginName = 'hcloud' | 'tailscale' | 'command';

export const pluginNames: PluginName[] = ['hcloud', 'tailscale', 'command'];

/** The folder where the CLI keeps an installed plugin. */
export function installedPath(pulumiHome: string, name: PluginName): string {
  return join(pulumiHome, 'plugins', `resource-${name}-v${sdkVersion(name)}`, `pulumi-resource-${name}`);
}

export function sdkVersion(name: PluginName): string {
  return createRequire(import.meta.url)(`@pulumi/${name}/package.json`).version;
}

/** Writes a plugin that records its start and its environment, and then works or fails. */
export function placePlugin(
  path: string,
  name: PluginName,
  records: string,
  then: 'serves' | 'gives up',
): void {
  mkdirSync(dirname(path), { recursive: true });
  mkdirSync(records, { recursive: true });
  const work =
    then === 'serves' ? `exec '${process.execPath}' '${PLUGIN}' ${name}` : 'echo "not today" >&2; exit 3';
  writeFileSync(path, `#!/bin/sh\nenv -0 > '${records}'/${name}.$$\n${work}\n`);
  chmodSync(path, 0o755);
}

export interface PluginStart {
  name: string;
  environment: Map<string, string>;
}

export function pluginStarts(records: string): PluginStart[] {
  return readdirSync(records).map((file) => ({
    name: file.split('.')[0]!,
    environment: new Map(
      readFileSync(join(records, file), 'utf8')
        .split('\0')
        .map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
    ),
  }));
}
