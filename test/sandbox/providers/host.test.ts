import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startProviderHost } from '../../../sandbox/providers/host.ts';
import { UNKNOWN_VALUE } from '../../../sandbox/providers/values.ts';
import { processIdentity } from '../../../src/processes/alive.mjs';
import { connectEngine, revealSecret, secret } from './engine.ts';
import { startFakeHetzner } from './fake-hetzner.ts';

const commandType = 'command:local:Command';
const serverType = 'hcloud:index/server:Server';
const serverInputs = { name: 'agent-a1', serverType: 'cx23', image: 'debian-12' };

async function setup() {
  const host = await startProviderHost();
  const hetzner = await startFakeHetzner();
  const environment = { HCLOUD_TOKEN: 't'.repeat(64), HCLOUD_ENDPOINT: hetzner.url };
  host.use(environment);
  const engine = (name: string) => connectEngine(host.debugProviders, name);
  return {
    host,
    hetzner,
    environment,
    engine,
    async [Symbol.asyncDispose]() {
      await host.stop();
      await hetzner[Symbol.asyncDispose]();
    },
  };
}

test('each package reports the version that the SDKs require', async () => {
  await using fixture = await setup();
  expect(fixture.host.debugProviders).toMatch(/^hcloud:\d+,tailscale:\d+,command:\d+$/);
  const versions = await Promise.all(
    ['hcloud', 'tailscale', 'command'].map((name) => fixture.engine(name).version()),
  );
  expect(versions).toEqual(['1.41.0', '0.29.1', '1.2.1']);
});

test('invalid settings are refused at configuration', async () => {
  await using fixture = await setup();
  fixture.host.use({ ...fixture.environment, HCLOUD_TOKEN: 'short' });
  await expect(fixture.engine('hcloud').configure()).rejects.toThrow('must be exactly 64 characters long');
  await expect(fixture.engine('tailscale').configure()).rejects.toThrow('credentials are empty');
});

test('two instances of a provider keep their settings apart', async () => {
  await using fixture = await setup();
  const [first, second] = [fixture.engine('hcloud'), fixture.engine('hcloud')];
  await first.configure({ token: secret('1'.repeat(64)) });
  await second.configure({ token: secret('2'.repeat(64)) });
  const sshKey = { name: 'k', publicKey: 'ssh-ed25519 AAAA x' };
  await first.create('hcloud:index/sshKey:SshKey', sshKey);
  expect(fixture.hetzner.received[0]!.headers.authorization).toBe(`Bearer ${'1'.repeat(64)}`);
});

test('each operation has the environment that was set for it', async () => {
  await using fixture = await setup();
  const engine = fixture.engine('command');
  for (const said of ['first', 'second']) {
    fixture.host.use({ SAID: said });
    await engine.configure();
    expect((await engine.create(commandType, { create: 'echo $SAID' })).properties).toMatchObject({
      stdout: said,
    });
    await engine.cancel();
  }
});

test('secret inputs stay secret, and so do outputs that may contain them', async () => {
  await using fixture = await setup();
  const engine = fixture.engine('command');
  await engine.configure();
  const inputs = { create: 'echo "$A"', environment: { A: secret('canary') } };
  expect((await engine.check(commandType, inputs)).inputs).toEqual(inputs);
  const { properties } = await engine.create(commandType, inputs);
  expect(properties).toMatchObject({ create: 'echo "$A"' });
  expect(revealSecret(properties.environment)).toEqual({ A: 'canary' });
  expect(revealSecret(properties.stdout)).toBe('canary');
});

test('a secret is compared by its value', async () => {
  await using fixture = await setup();
  const engine = fixture.engine('command');
  await engine.configure();
  const before = { create: 'true', environment: { A: 'a' } };
  const same = await engine.diff(commandType, before, { ...before, environment: secret({ A: 'a' }) });
  const other = await engine.diff(commandType, before, { ...before, environment: secret({ A: 'b' }) });
  expect([same.changes, other.changes]).toEqual(['none', 'some']);
});

test('a diff gives the engine paths and replacements, and skips ignored changes', async () => {
  await using fixture = await setup();
  const engine = fixture.engine('hcloud');
  await engine.configure();
  const wanted = { ...serverInputs, serverType: 'cx33', image: 'debian-13' };
  expect(await engine.diff(serverType, serverInputs, wanted)).toEqual({
    changes: 'some',
    replaces: ['image'],
    deleteBeforeReplace: true,
    detailed: { serverType: 'UPDATE', image: 'UPDATE_REPLACE' },
  });
  expect(await engine.diff(serverType, serverInputs, wanted, ['image'])).toEqual({
    changes: 'some',
    replaces: [],
    deleteBeforeReplace: false,
    detailed: { serverType: 'UPDATE' },
  });
});

test('a preview calls nothing, and marks unknown outputs', async () => {
  await using fixture = await setup();
  const engine = fixture.engine('hcloud');
  await engine.configure();
  const inputs = { ...serverInputs, userData: UNKNOWN_VALUE };
  const { id, properties } = await engine.create(serverType, inputs, { preview: true });
  expect(id).toBe('');
  expect(properties).toMatchObject({ name: 'agent-a1', ipv4Address: UNKNOWN_VALUE, userData: UNKNOWN_VALUE });
  expect(fixture.hetzner.received).toEqual([]);
});

test('a server whose creation fails after the order is reported with its id', async () => {
  await using fixture = await setup();
  fixture.hetzner.failNextAction({ code: 'action_failed', message: 'Action failed' });
  const engine = fixture.engine('hcloud');
  await engine.configure();
  const failure = await engine.create(serverType, serverInputs).catch((error) => error);
  expect(failure.message).toContain('action_failed');
  expect(failure.initialization).toMatchObject({
    id: String([...fixture.hetzner.servers.keys()][0]),
    properties: { name: 'agent-a1' },
  });
});

test('an unsupported resource type is named in the error', async () => {
  await using fixture = await setup();
  const engine = fixture.engine('hcloud');
  await engine.configure();
  await expect(engine.check('hcloud:index/volume:Volume', {})).rejects.toThrow(
    /hcloud:index\/volume:Volume.*official/,
  );
});

test('an error too long for its frame is shortened in the middle', async () => {
  await using fixture = await setup();
  const engine = fixture.engine('command');
  await engine.configure();
  const failing = engine.create(commandType, {
    create: 'head -c 200000 /dev/zero | tr "\\0" x; echo; echo END; exit 1',
  });
  await expect(failing).rejects.toThrow(/exit status 1: running [\s\S]*characters left out[\s\S]*END/);
});

/** A command that only a signal ends; `pid` waits until it runs. */
async function endlessCommand() {
  const folder = await mkdtemp(join(tmpdir(), 'host-'));
  const file = join(folder, 'pid');
  return {
    inputs: { create: `echo $$ > ${file}; sleep 100; true` },
    async pid() {
      const read = () => readFile(file, 'utf8').catch(() => '');
      await expect.poll(read).toMatch(/^\d+\n$/);
      return Number(await read());
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

test('an abort ends running operations, and the host keeps serving', async () => {
  await using fixture = await setup();
  await using endless = await endlessCommand();
  const engine = fixture.engine('command');
  await engine.configure();
  const running = engine.create(commandType, endless.inputs);
  const refused = expect(running).rejects.toThrow('context canceled');
  const pid = await endless.pid();
  await fixture.host.abort();
  expect(processIdentity(pid)).toBeNull();
  await refused;
  expect((await engine.create(commandType, { create: 'echo on' })).properties).toMatchObject({
    stdout: 'on',
  });
});

test("the engine's cancel ends running operations; at the end of a run it changes nothing", async () => {
  await using fixture = await setup();
  await using endless = await endlessCommand();
  const engine = fixture.engine('command');
  await engine.configure();
  const running = engine.create(commandType, endless.inputs);
  const refused = expect(running).rejects.toThrow('context canceled');
  const pid = await endless.pid();
  await engine.cancel();
  expect(processIdentity(pid)).toBeNull();
  await refused;
  await engine.cancel();
  await engine.configure();
  expect((await engine.create(commandType, { create: 'echo on' })).properties).toMatchObject({
    stdout: 'on',
  });
});

test('a cancel of one package, which the engine no longer needs, leaves the work of the others alone', async () => {
  await using fixture = await setup();
  await using endless = await endlessCommand();
  const engine = fixture.engine('command');
  await engine.configure();
  const running = engine.create(commandType, endless.inputs);
  const refused = expect(running).rejects.toThrow('context canceled');
  const pid = await endless.pid();
  await fixture.engine('hcloud').cancel();
  expect(processIdentity(pid)).not.toBeNull();
  await fixture.host.abort();
  await refused;
});

test('a disconnected caller’s commands are killed', async () => {
  await using fixture = await setup();
  await using endless = await endlessCommand();
  await using line = await startLine(Number(/command:(\d+)/.exec(fixture.host.debugProviders)![1]));
  const engine = connectEngine(`command:${line.port}`, 'command');
  await engine.configure();
  const lost = expect(engine.create(commandType, endless.inputs)).rejects.toThrow();
  const pid = await endless.pid();
  line.cut();
  await lost;
  await expect.poll(() => processIdentity(pid)).toBeNull();
});

/** A connection to a port that can be cut, as if the process at its other end was killed. */
async function startLine(port: number) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    const onward = connect(port, '127.0.0.1');
    sockets.push(socket, onward);
    for (const end of [socket, onward]) end.on('error', () => end.destroy());
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('a custom timeout ends a command', async () => {
  await using fixture = await setup();
  await using endless = await endlessCommand();
  const engine = fixture.engine('command');
  await engine.configure();
  await expect(engine.create(commandType, endless.inputs, { timeoutSeconds: 0.2 })).rejects.toThrow(
    'context deadline exceeded: running',
  );
});
