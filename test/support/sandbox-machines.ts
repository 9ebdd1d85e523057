import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { SandboxAnswer, SandboxStartMessage } from '../../sandbox/main.ts';
import { createDatabase } from './postgres.ts';
import { tokens } from './sandbox.ts';

type Tools = { base: string; headscale: string; tailscale: string; tailscaled: string };

/** What `npm test` has set up, or why it could not. */
const prepared: Tools | { missing: string[] } = JSON.parse(
  process.env.AGENT_STACKS_MACHINE_TOOLS ??
    '{"missing":["AGENT_STACKS_MACHINE_TOOLS is not set: run npm test"]}',
);

/** Why real machines cannot be tested here, as a suffix of test names, or `null`. */
export const whyNot = 'missing' in prepared ? ` (cannot be here: ${prepared.missing.join('; ')})` : null;

const main = fileURLToPath(new URL('../../sandbox/main.ts', import.meta.url));

// biome-ignore lint/suspicious/noExplicitAny: other tests check these answers against the official document.
type Json = any;

export type Installation = Awaited<ReturnType<typeof install>>;

/** A folder, a database and an SSH key. The sandbox on them can be started, stopped and started again. */
export async function install() {
  const folder = await mkdtemp(join(tmpdir(), `agent-stacks-test-${process.pid}-`));
  const database = await createDatabase('sandbox');
  const keyFile = join(folder, 'key');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', keyFile]);
  const children: ChildProcess[] = [];
  onTestFinished(async () => {
    for (const child of children) await end(child, 'SIGTERM');
    await database.drop();
    await rm(folder, { recursive: true });
  });
  return {
    folder,
    machinesDir: join(folder, 'machines'),
    publicKey: (await readFile(`${keyFile}.pub`, 'utf8')).trim(),
    keyFile,
    start: () => startSandbox(children, database.url, { folder, keyFile }),
  };
}

export type Sandbox = Awaited<ReturnType<typeof startSandbox>>;

async function startSandbox(
  children: ChildProcess[],
  databaseUrl: string,
  { folder, keyFile }: { folder: string; keyFile: string },
) {
  const child = fork(main, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  children.push(child);
  const machines = { ...(prepared as Tools), dir: join(folder, 'machines'), path: process.env.PATH };
  const webhookUrl = 'http://127.0.0.1:1/';
  const message: SandboxStartMessage = { type: 'start', databaseUrl, port: 0, tokens, webhookUrl, machines };
  child.send(message);
  const [answer] = (await once(child, 'message')) as [SandboxAnswer];
  if (answer.type !== 'ready') throw new Error(answer.message);
  const { url } = answer;
  const network = (await (await fetch(`${url}/sandbox/network`)).json()) as { enter: string[] };
  const call = (method: string, path: string, body?: unknown) => callHetzner(url, method, path, body);
  return {
    url,
    network,
    call,
    /** Runs a command as root on the server, over SSH from the controller's node. */
    ssh: (ip: string, command: string) => ssh(network.enter, keyFile, ip, command),
    /** Runs a command on the controller's node. */
    beside: (...command: string[]) => output([...network.enter, ...command]),
    /** Orders a server and returns its id and address. */
    order: async (order: Record<string, unknown>): Promise<{ id: number; ip: string }> => {
      const { server } = await call('POST', '/servers', { ...cheapest, ...order });
      return { id: server.id, ip: server.public_net.ipv4.ip };
    },
    getStatus: async (id: number): Promise<string> => (await call('GET', `/servers/${id}`)).server.status,
    end: (signal: NodeJS.Signals) => end(child, signal),
  };
}

const cheapest = { server_type: 'cx23', image: 'debian-12', location: 'nbg1' };

/** Retries while another action locks the server, as clients do. */
async function callHetzner(url: string, method: string, path: string, body?: unknown): Promise<Json> {
  return until(async () => {
    const response = await fetch(`${url}/hetzner/v1${path}`, {
      method,
      headers: { Authorization: `Bearer ${tokens.hcloudToken}`, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (response.status === 423) return undefined;
    const answer = response.status === 204 ? {} : await response.json();
    return response.ok ? answer : Promise.reject(new Error(`${method} ${path}: ${JSON.stringify(answer)}`));
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

async function ssh(enter: string[], keyFile: string, ip: string, command: string): Promise<string> {
  const options = [
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'LogLevel=ERROR',
    'ConnectTimeout=2',
  ];
  return output([
    ...enter,
    'ssh',
    '-i',
    keyFile,
    ...options.flatMap((option) => ['-o', option]),
    `root@${ip}`,
    command,
  ]);
}

/** Returns a command's output. @throws Error if it fails. */
export async function output([program, ...args]: string[]): Promise<string> {
  const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, complaint, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${out}${complaint}`);
  return out.trim();
}

/** Polls until there is an answer. */
export async function until<T>(ask: () => Promise<T | undefined>, timeoutSeconds = 60): Promise<T> {
  for (const deadline = Date.now() + timeoutSeconds * 1000; ; ) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`It did not happen within ${timeoutSeconds} seconds`);
    await pause(150);
  }
}

/** Returns a command's output once it succeeds. */
export function eventually(ask: () => Promise<string>, timeoutSeconds = 60): Promise<string> {
  return until(() => ask().catch(() => undefined), timeoutSeconds);
}
