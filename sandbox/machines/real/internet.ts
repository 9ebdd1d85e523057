import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { killFound } from '../../../src/processes/find.ts';
import { GATE } from './addresses.ts';
import type { GatewayMessage } from './gateway.ts';
import { findInstallationProcesses, spawnBound, taggedEnvironment } from './processes.ts';

/** Answers the metadata address's `path` for the machine with this public address. */
export type ReadMetadata = (address: string, path: string) => Promise<{ status: number; body: string }>;

export interface InternetOptions {
  /** Its own folder, created with mode 0700 if absent. */
  dir: string;
  /** Distinguishes its processes from those of other installations on this host. */
  tag: string;
  /** PATH as the sandbox was started with it. */
  path?: string | undefined;
  readMetadata?: ReadMetadata;
}

/** A network namespace on the internet; the command line of a program that runs in it starts with `enter`. */
export interface Attachment {
  enter: string[];
  pid: number;
  detach(): Promise<void>;
}

/** The simulated internet between machines. It has no uplink and is invisible to the host's own namespace. */
export interface Internet {
  /** Environment for programs that run in it. */
  environment: Record<string, string>;
  /** Path of its network namespace, valid while it is open. */
  namespace: string;
  /** Starts a program in it, at the control address 198.18.0.1. The program cannot outlive this process. */
  run(command: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Creates another namespace with a link to it. `name`: at most 13 letters and digits. */
  attach(node: { name: string; ipv4: string; ipv6?: string }): Promise<Attachment>;
  /** Path of the socket that `connect` uses, valid while it is open. */
  gate: string;
  /** Connects to an address in it, from the control address. */
  connect(host: string, port: number): Promise<Duplex>;
  /** Resolves when the process that holds it has ended. */
  closed: Promise<void>;
  /** Kills everything that runs in it. */
  close(): Promise<void>;
}

/**
 * Opens the internet of one installation, after killing the remains of a killed sandbox.
 * @throws Error if this host does not permit it.
 */
export async function openInternet(options: InternetOptions): Promise<Internet> {
  const { dir, tag } = options;
  const killAll = () => killFound(() => findInstallationProcesses(tag));
  await killAll();
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const environment = taggedEnvironment(tag, options.path);
  const gateway = await startGateway(options, environment);
  const namespace = `/proc/${gateway.pid}/ns/net`;
  // Through the gateway's working folder, because a socket's path is limited to about a hundred characters.
  const gate = `/proc/${gateway.pid}/cwd/${GATE}`;
  const closed = once(gateway, 'exit').then(() => undefined);
  return {
    environment,
    namespace,
    run: (command, more = {}) =>
      spawnBound(['nsenter', `--net=${namespace}`, '--', ...command], {
        ...more,
        env: { ...more.env, ...environment },
      }),
    attach: (node) => attach(node, namespace, environment),
    gate,
    connect: (host, port) => connectThrough(gate, host, port),
    closed,
    close: async () => {
      await killAll();
      await closed;
    },
  };
}

const answerNotFound: ReadMetadata = async () => ({ status: 404, body: '' });

async function startGateway(
  { dir, readMetadata = answerNotFound }: InternetOptions,
  environment: Record<string, string>,
): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('gateway.ts', import.meta.url));
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', script];
  const gateway = spawnBound(['unshare', '--net', '--', ...node], {
    cwd: dir,
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let stderr = '';
  gateway.stderr?.setEncoding('utf8').on('data', (text) => {
    stderr = (stderr + text).slice(-2000);
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
      reject(new Error(`The machines' network cannot be created here: ${stderr.trim()}`)),
    );
  });
  await ready;
  return gateway;
}

async function attach(
  { name, ipv4, ipv6 }: { name: string; ipv4: string; ipv6?: string },
  namespace: string,
  environment: Record<string, string>,
): Promise<Attachment> {
  const script = fileURLToPath(new URL('hold-namespace.sh', import.meta.url));
  const holder = spawnBound(['unshare', '--net', '--', 'sh', script], {
    env: { ...environment, INTERNET: namespace, LINK: `c-${name}`, IPV4: ipv4, IPV6: ipv6 ?? '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  holder.stderr?.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const connected = once(holder.stdout!, 'data');
  connected.catch(() => undefined);
  await Promise.race([connected, once(holder, 'exit')]);
  if (holder.exitCode !== null || holder.signalCode !== null)
    throw new Error(`${ipv4} could not be connected to the machines' network: ${stderr.trim()}`);
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
