import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { builtinProviders } from '../../../src/config/builtin-providers.ts';
import { findProcesses } from '../../../src/processes/find.ts';
import { Lease } from '../../../src/processes/lease.ts';
import { createEnginePool } from '../../../src/pulumi/engine/engine-pool.ts';
import { connectEngine } from '../../sandbox/providers/engine.ts';
import { compileCache } from '../../support/commands.ts';
import { listeningSockets } from '../../support/listening-sockets.ts';
import { becomeOtherUser, needsRoot } from '../../support/other-user.ts';

const COMMAND = 'command:local:Command';
const VERSION = '/pulumirpc.ResourceProvider/GetPluginInfo';

beforeEach(({ skip }) => {
  skip(process.platform !== 'linux', 'processes and their sockets can only be found on Linux');
});

/**
 * A real runner with the builtin providers, and a task that runs until it is cancelled. A script stands in
 * for the CLI.
 */
async function runTask() {
  const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-runner-'));
  mkdirSync(join(folder, 'bin'));
  const cli = join(folder, 'bin', 'pulumi');
  copyFileSync(fileURLToPath(new URL('processes/pulumi', import.meta.url)), cli);
  chmodSync(cli, 0o755);
  const pool = createEnginePool({
    settings: { pulumi: cli, workDir: join(folder, 'runs'), providerHost: builtinProviders },
    environment: { PATH: process.env.PATH!, HOME: folder, ...compileCache },
    processTags: { POOL_TEST: folder },
    idle: 1,
  });
  const run = (behaviour: string) =>
    pool.run(
      {
        verb: 'unlock',
        stackName: 'foundation-default',
        environment: {
          PULUMI_BACKEND_URL: `file://${folder}`,
          FAKE_PULUMI: behaviour,
          FAKE_PIDS: join(folder, 'pids'),
        },
      },
      { signal: new AbortController().signal, lease: new Lease(Date.now() + 60_000), onProgress: () => {} },
    );
  const tagged = () => findProcesses((environment) => environment.get('POOL_TEST') === folder);
  const hanging = run('hang').catch(() => {});
  onTestFinished(async () => {
    await pool.stop();
    await hanging;
    rmSync(folder, { recursive: true });
  });
  await expect.poll(() => existsSync(join(folder, 'pids')), { timeout: 15_000 }).toBe(true);
  return { run, ports: () => listeningSockets(tagged()) };
}

test('while a task runs, its ports answer only this user', async ({ skip }) => {
  skip(needsRoot !== undefined, needsRoot);
  const { ports } = await runTask();
  const listening = ports();
  expect(listening).toHaveLength(3);
  await using other = await becomeOtherUser();
  for (const { port } of listening)
    expect(await other.try({ kind: 'grpc', port, method: VERSION })).toMatch(/^UNAVAILABLE/);
  for (const { port } of listening)
    expect(await connectEngine(`any:${port}`, 'any').version()).toMatch(/^\d+\.\d+\.\d+$/);
}, 60_000);

test('no port is open between tasks', async () => {
  const { run, ports } = await runTask();
  await run('succeed');
  // The runner of the hanging task has its three ports; the finished one has none.
  expect(new Set(ports().map(({ pid }) => pid)).size).toBe(1);
}, 60_000);

test('only the command of the stack’s program runs, whichever user asks', async () => {
  const { ports } = await runTask();
  for (const { port } of ports()) {
    const engine = connectEngine(`any:${port}`, 'any');
    if ((await engine.version()) !== '1.2.1') continue;
    await engine.configure();
    for (const inputs of [
      { create: 'id' },
      { create: 'exec "$AGENT_STACKS_CONFIGURE"', environment: { LD_PRELOAD: '/tmp/mine.so' } },
      { create: 'exec "$AGENT_STACKS_CONFIGURE"', interpreter: ['/tmp/mine'] },
    ])
      await expect(engine.create(COMMAND, inputs)).rejects.toThrow('not one of the stack');
    return;
  }
  throw new Error('No port serves the command provider');
}, 60_000);
