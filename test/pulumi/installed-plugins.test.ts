import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findPlugins, type PluginLocations } from '../../src/pulumi/installed-plugins.ts';
import { PLUGINS, sdkVersion } from '../../src/pulumi/plugins.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'agent-stacks-plugins-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function program(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '#!/bin/sh\n');
  chmodSync(path, 0o755);
}
const installed = (home: string, name: string, version = sdkVersion(name)) =>
  join(home, 'plugins', `resource-${name}-v${version}`, `pulumi-resource-${name}`);
const nowhere: PluginLocations = { pulumiHome: undefined, home: undefined, path: undefined, cli: undefined };
const missing = (places: Partial<PluginLocations>) =>
  findPlugins({ ...nowhere, home: folder, ...places }).missing.map(({ name }) => name);

test('plugins in PULUMI_HOME, or in ~/.pulumi without it, are found', () => {
  for (const name of PLUGINS) program(installed(join(folder, '.pulumi'), name));
  expect(missing({})).toEqual([]);
  expect(missing({ pulumiHome: join(folder, 'elsewhere') })).toEqual(PLUGINS);
  for (const name of PLUGINS) program(installed(join(folder, 'elsewhere'), name));
  expect(missing({ pulumiHome: join(folder, 'elsewhere'), home: undefined })).toEqual([]);
});

test('plugins on the PATH, and beside the CLI, are found', () => {
  program(join(folder, 'bin', 'pulumi-resource-hcloud'));
  program(join(folder, 'cli', 'pulumi-resource-command'));
  expect(missing({ path: `/nowhere:${join(folder, 'bin')}`, cli: join(folder, 'cli', 'pulumi') })).toEqual([
    'tailscale',
  ]);
});

test('another version, an unfinished download and a file that is not executable count as missing', () => {
  const home = join(folder, '.pulumi');
  program(installed(home, 'hcloud', '99.0.0'));
  program(installed(home, 'tailscale'));
  writeFileSync(`${dirname(installed(home, 'tailscale'))}.partial`, '');
  program(installed(home, 'command'));
  chmodSync(installed(home, 'command'), 0o644);
  expect(missing({})).toEqual(['hcloud', 'tailscale', 'command']);
});
