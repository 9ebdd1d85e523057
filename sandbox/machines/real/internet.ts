import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { GATE } from './addresses.ts';
import type { GatewayMessage } from './gateway.ts';
import { endProcesses, ofWorld, spawnBound, worldEnvironment } from './processes.ts';

/** Looks up what the metadata address says to the machine with this public address. */
export type ReadMetadata = (address: string, path: string) => Promise<{ status: number; body: string }>;

export interface WorldOptions {
  /** A folder of its own, made with mode 0700 if absent. */
  dir: string;
  /** Tells the processes of this world from those of all others on this host. */
  mark: string;
  /** PATH of whoever starts the sandbox. */
  path?: string | undefined;
  readMetadata?: ReadMetadata;
}

/** A network namespace on the world; `enter` begins the argument list of a program that is to run in it. */
export interface Attached {
  enter: string[];
  pid: number;
  detach(): Promise<void>;
}

/** A network of the sandbox's own, with no way out: nothing of it is to be seen in the host's own namespace. */
export interface World {
  /** Environment for programs that run in it. */
  environment: Record<string, string>;
  /** Path of its network namespace, for as long as it is open. */
  namespace: string;
  /** Starts a program in it, at the control address 198.18.0.1. It ends with this process at the latest. */
  run(command: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Makes a further namespace with a cable to the world. `name`: at most 13 letters and digits. */
  attach(place: { name: string; ipv4: string; ipv6?: string }): Promise<Attached>;
  /** Connects to an address in the world, from the control address. */
  connect(host: string, port: number): Promise<Duplex>;
  /** Resolves when the process that holds it has ended. */
  closed: Promise<void>;
  /** Ends everything that runs in it. */
  close(): Promise<void>;
}

/**
 * Opens the world of one installation, after ending what a killed predecessor has left of it.
 * Throws where this host does not permit it.
 */
export async function openWorld(options: WorldOptions): Promise<World> {
  const { dir, mark } = options;
  await endProcesses(ofWorld(mark));
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const environment = worldEnvironment(mark, options.path);
  const gateway = await startGateway(options, environment);
  const namespace = `/proc/${gateway.pid}/ns/net`;
  const closed = once(gateway, 'exit').then(() => undefined);
  return {
    environment,
    namespace,
    run: (command, more = {}) =>
      spawnBound(['nsenter', `--net=${namespace}`, '--', ...command], {
        ...more,
        env: { ...more.env, ...environment },
      }),
    attach: (place) => attach(place, namespace, environment),
    // By the gateway's own folder: a socket's path may have no more than a hundred letters.
    connect: (host, port) => connectThrough(`/proc/${gateway.pid}/cwd/${GATE}`, host, port),
    closed,
    close: async () => {
      await endProcesses(ofWorld(mark));
      await closed;
    },
  };
}

const answerMissing: ReadMetadata = async () => ({ status: 404, body: '' });

async function startGateway(
  { dir, readMetadata = answerMissing }: WorldOptions,
  environment: Record<string, string>,
): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('gateway.ts', import.meta.url));
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', script];
  const gateway = spawnBound(['unshare', '--net', '--', ...node], {
    cwd: dir,
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let complaint = '';
  gateway.stderr?.setEncoding('utf8').on('data', (text) => {
    complaint = (complaint + text).slice(-2000);
  });
  const ready = new Promise<void>((resolve, reject) => {
    gateway.on('message', async (message: GatewayMessage) => {
      if (message.type === 'ready') return resolve();
      const answer = await readMetadata(message.address, message.path).catch(() => ({
        status: 503,
        body: '',
      }));
      if (gateway.connected) gateway.send({ id: message.id, ...answer });
    });
    gateway.once('error', reject);
    gateway.once('exit', () =>
      reject(new Error(`The machines' network cannot be made here: ${complaint.trim()}`)),
    );
  });
  await ready;
  return gateway;
}

async function attach(
  { name, ipv4, ipv6 }: { name: string; ipv4: string; ipv6?: string },
  namespace: string,
  environment: Record<string, string>,
): Promise<Attached> {
  const script = fileURLToPath(new URL('hold-namespace.sh', import.meta.url));
  const holder = spawnBound(['unshare', '--net', '--', 'sh', script], {
    env: { ...environment, WORLD: namespace, LINK: `c-${name}`, IPV4: ipv4, IPV6: ipv6 ?? '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let complaint = '';
  holder.stderr?.setEncoding('utf8').on('data', (text) => {
    complaint += text;
  });
  const connected = once(holder.stdout!, 'data');
  connected.catch(() => undefined);
  await Promise.race([connected, once(holder, 'exit')]);
  if (holder.exitCode !== null || holder.signalCode !== null)
    throw new Error(`${ipv4} could not be put on the machines' network: ${complaint.trim()}`);
  return {
    enter: ['nsenter', `--net=/proc/${holder.pid}/ns/net`, '--'],
    pid: holder.pid!,
    detach: async () => {
      const exited = once(holder, 'exit');
      if (holder.kill('SIGKILL')) await exited;
    },
  };
}

function connectThrough(socketPath: string, host: string, port: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method: 'CONNECT', path: `${host}:${port}` });
    call.once('error', reject);
    call.once('connect', (response, socket) => {
      if (response.statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(
        Object.assign(new Error(`${host}:${port}: ${response.statusMessage}`), {
          code: response.statusMessage,
        }),
      );
    });
    call.end();
  });
}
