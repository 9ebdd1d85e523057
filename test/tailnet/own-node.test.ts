import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { RELAY_OVER_HTTP } from '../../sandbox/tailscale/headscale/headscale.ts';
import { createLog } from '../../src/log.ts';
import { findProcesses } from '../../src/processes/find.ts';
import { Secret } from '../../src/secret.ts';
import { createHealthCheck } from '../../src/tailnet/agent-health.ts';
import { openOwnNode } from '../../src/tailnet/own-node.ts';
import { makeControllerKey } from '../../src/tailscale/controller-key.ts';
import { createTailscaleClient } from '../../src/tailscale/tailscale.ts';
import { eventually, openRealTailnet, type RealTailnet, tools, whyNot } from '../support/headscale.ts';
import { makeKey, tokens } from '../support/sandbox-tailnet.ts';

const limit = { timeout: 150_000 };
const hostname = 'controller-test-1';

let tailnet: RealTailnet;
let enter: string[];
let agentAddress: string;
let keys = 0;
/** The last device of each state folder, as each records it. */
const formers = new Map<string, string>();
beforeAll(async () => {
  if (whyNot !== undefined) return;
  tailnet = await openRealTailnet();
  ({ enter } = await tailnet.internet.attach({ name: 'controller', ipv4: '198.18.1.1' }));
  const agent = await tailnet.machine('agent-1');
  agentAddress = await agent.join((await makeKey(tailnet)).key);
  for (const port of [22, 8088]) await agent.serve(port);
}, 60_000);
beforeEach(({ skip }) => skip(whyNot !== undefined, whyNot));
afterAll(() => tailnet?.close());

async function open({ isTemporary = false, name = 'node' } = {}) {
  const stateDir = join(tailnet.dir, name);
  mkdirSync(stateDir, { recursive: true });
  const tailscale = createTailscaleClient({
    credential: { kind: 'api-key', key: new Secret(tokens.tailscaleApiKey) },
    tailnet: '-',
    baseUrl: tailnet.url,
    loginServer: undefined,
  });
  return openOwnNode({
    locate: async () => ({
      enter,
      tailscale: tools.tailscale,
      tailscaled: tools.tailscaled,
      loginServer: tailnet.headscale.loginServer,
      environment: RELAY_OVER_HTTP,
    }),
    stateDir,
    socket: join(stateDir, 's'),
    hostname,
    environment: { ...tailnet.internet.environment, NODE_TEST: tailnet.dir },
    makeKey: (hostname) => {
      keys += 1;
      return makeControllerKey(tailscale, { hostname, ephemeral: isTemporary, formerId: formers.get(name) });
    },
    isTemporary,
    isKnown: tailscale.hasDevice,
    tellDevice: (id) => {
      formers.set(name, id);
    },
    log: createLog('/dev/null'),
    checkMs: 100,
    knownMs: 200,
  });
}

const controllers = async () =>
  (await tailnet.call('GET', `/tailnet/-/devices?hostname=${hostname}`)).body.devices;
const processes = () => findProcesses((environment) => environment.get('NODE_TEST') === tailnet.dir);

test('our own node joins by itself, and health checks and SSH go through it', limit, async () => {
  const node = await open();
  try {
    const health = createHealthCheck((ip) => `http://${ip}:8088/health`, node.dial);
    await health.untilHealthy(agentAddress, { timeoutSeconds: 20, signal: new AbortController().signal });
    expect(await node.isUp()).toBe(true);
    expect(await controllers()).toMatchObject([{ tags: ['tag:controller'], connectedToControl: true }]);
    expect(await health.isHealthy('100.64.99.99')).toBe(false);

    const command = node.proxyCommand!.replace('%h', agentAddress).replace('%p', '22');
    const proxy = spawn('sh', ['-c', command], { stdio: ['pipe', 'pipe', 'inherit'] });
    proxy.stdin.write('GET / HTTP/1.0\r\n\r\n');
    const [answer] = await once(proxy.stdout, 'data');
    expect(String(answer)).toContain('200 OK');
    proxy.kill();
    const { stdout: list } = await promisify(execFile)('ps', ['-ww', '-eo', 'args']);
    expect(list).not.toContain('hskey-auth');
  } finally {
    await node.stop();
  }
  expect(processes()).toEqual([]);
});

test('after a restart or a kill it is the same device, without a new key', limit, async () => {
  const [before] = await controllers();
  const node = await open();
  try {
    await eventually(() => node.isUp());
    const [killed] = processes();
    process.kill(killed!, 'SIGKILL');
    await eventually(async () => processes().some((pid) => pid !== killed) && (await node.isUp()));
    // The list of the other devices reaches it a moment after it is up.
    const connection = await eventually(() => node.dial(agentAddress, 8088, AbortSignal.timeout(10_000)));
    connection.destroy();
    expect(await controllers()).toMatchObject([{ id: before.id, addresses: before.addresses }]);
    expect(keys).toBe(1);
  } finally {
    await node.stop();
  }
});

test('a node whose device was removed gets a new one, and the old one does not stay', limit, async () => {
  const node = await open();
  try {
    await eventually(() => node.isUp());
    const [before] = await controllers();
    await tailnet.call('DELETE', `/device/${before.id}`);
    await eventually(async () => {
      const [now] = await controllers();
      return now !== undefined && now.id !== before.id && (await node.isUp());
    });
    expect(await controllers()).toHaveLength(1);
    expect(keys).toBe(2);
  } finally {
    await node.stop();
  }
  // The same while it is not running.
  const [removed] = await controllers();
  await tailnet.call('DELETE', `/device/${removed.id}`);
  const later = await open();
  try {
    await eventually(() => later.isUp());
    expect(await controllers()).toHaveLength(1);
    expect(keys).toBe(3);
  } finally {
    await later.stop();
  }
});

test('another device of its name is left alone, as it may be another installation’s', limit, async () => {
  const node = await open();
  try {
    await eventually(() => node.isUp());
    const [before] = await controllers();
    const other = await open({ name: 'other' });
    try {
      await eventually(async () => (await other.isUp()) && (await controllers()).length === 2);
      expect((await controllers()).map(({ id }: { id: string }) => id)).toContain(before.id);
    } finally {
      await other.stop();
    }
  } finally {
    await node.stop();
    for (const { id } of await controllers()) await tailnet.call('DELETE', `/device/${id}`);
  }
});

test('a temporary node leaves no device behind', limit, async () => {
  const node = await open({ isTemporary: true, name: 'temporary' });
  await eventually(() => node.isUp());
  expect(await controllers()).toMatchObject([{ isEphemeral: true, connectedToControl: true }]);
  await node.stop();
  await eventually(async () => (await controllers()).length === 0);
});
