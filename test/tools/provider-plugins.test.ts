import { expect, test } from 'vitest';
import { ensureProviderPlugins } from '../../tools/setup/provider-plugins.mjs';
import type { Run } from '../../tools/setup/run.mjs';
import { createContext } from '../support/set-up-context.ts';

async function install(env: NodeJS.ProcessEnv, code = 0) {
  const calls: string[] = [];
  const run: Run = async (command, args) => {
    calls.push([command, ...args].join(' '));
    return { code, output: 'no such plugin' };
  };
  await ensureProviderPlugins(await createContext(run, env), '/bin/pulumi');
  return calls;
}

test('a runner gets the official plugins in the versions of the packages', async () => {
  expect(await install({})).toEqual([
    '/bin/pulumi plugin install resource hcloud 1.41.0',
    '/bin/pulumi plugin install resource tailscale 0.29.1',
    '/bin/pulumi plugin install resource command 1.2.1',
  ]);
});

test('the sandbox brings its own, unless the official ones are asked for', async () => {
  const sandbox = { SANDBOX_URL: 'http://127.0.0.1:1' };
  expect(await install(sandbox)).toEqual([]);
  expect(await install({ PROVIDERS: 'builtin' })).toEqual([]);
  expect(await install({ ...sandbox, PROVIDERS: 'official' })).toHaveLength(3);
});

test('one that cannot be had ends the set-up, and says which', async () => {
  await expect(install({}, 1)).rejects.toThrow(
    /plugin hcloud 1\.41\.0 could not be installed:\n.*no such plugin/,
  );
});
