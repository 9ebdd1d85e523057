import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Client, ClientChannel } from 'ssh2';
import { errorMessage, RetryableError } from '../errors.ts';
import { oneLine } from '../http-client/answer.ts';
import { withDeadline } from '../http-client/deadline.ts';
import type { Dial } from './agent-health.ts';

/** How to log in to a server, and by which host keys to recognise it. */
export interface ServerLogin {
  tailnetIp: string;
  /** OpenSSH's format, of the account `ops`. */
  sshPrivateKey: string;
  /** OpenSSH's format. A server that shows any other key gets nothing. */
  hostPublicKeys: readonly string[];
}

/** A program that runs on a server already, as root, and waits for its input. */
export interface WaitingProgram {
  readonly isOpen: boolean;
  /** Sends one line and waits until the program has done its work. @throws RetryableError */
  give(line: string, limits: { seconds: number; signal: AbortSignal }): Promise<void>;
  close(): void;
}

/** The role `agent` installs it. */
const COMMAND = 'exec sudo -n /usr/bin/python3 -I -S /usr/local/lib/agent-hand-over.py';
const SSH_PORT = 22;
const LOGIN_SECONDS = 10;
/** A server that does not answer for three of these is gone. */
const KEEPALIVE_MS = 5_000;
/** What a program may say in all, in bytes. */
const MOST_SAID = 16 * 1024;

/**
 * Starts the program that gives a server to an agent, and returns once it waits for its input. The server is
 * trusted with nothing: it is recognised by its host key, what it says is bounded, and so is the time.
 * @throws RetryableError
 */
export async function startWaitingProgram(
  dial: Dial,
  login: ServerLogin,
  { signal, seconds = LOGIN_SECONDS }: { signal: AbortSignal; seconds?: number },
): Promise<WaitingProgram> {
  const { tailnetIp } = login;
  try {
    // Most installations have no servers that wait: those need not hold the library in memory.
    const ssh = await import('ssh2');
    return await withDeadline({ seconds, signal }, async (own) => {
      const socket = await dial(tailnetIp, SSH_PORT, own);
      // The dial may have succeeded after the deadline.
      if (own.aborted) socket.destroy();
      own.throwIfAborted();
      const session = openSession(new ssh.Client(), socket, login);
      const giveUp = () => session.fail(own.reason);
      own.addEventListener('abort', giveUp, { once: true });
      await session.start();
      // This signal also aborts once the deadline no longer counts.
      own.removeEventListener('abort', giveUp);
      return session;
    });
  } catch (error) {
    signal.throwIfAborted();
    throw new RetryableError(`SSH to ${tailnetIp}: ${errorMessage(error)}`, { cause: error });
  }
}

function openSession(client: Client, socket: Socket, login: ServerLogin) {
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  let isOpen = true;
  const fail = (reason: unknown) => {
    isOpen = false;
    failed.reject(reason);
    client.destroy();
    socket.destroy();
  };
  // A destroyed socket may still report what it had before.
  socket.on('error', fail);
  client.on('error', fail);
  client.on('close', () => fail(new Error('the connection was closed')));
  let line: (expected: string) => Promise<void>;
  let channel: ClientChannel;
  const either = <T>(work: Promise<T>) => Promise.race([failed.promise, work]);
  return {
    get isOpen() {
      return isOpen;
    },
    fail,
    start: async () => {
      const ready = once(client, 'ready');
      client.connect({ ...settings(login), sock: socket });
      await either(ready);
      channel = await either(execute(client));
      line = listen(channel, fail);
      await either(line('ready'));
    },
    give: async (text: string, limits: { seconds: number; signal: AbortSignal }) => {
      try {
        await withDeadline(limits, async () => {
          channel.write(`${text}\n`);
          await either(line('done'));
        });
      } catch (error) {
        limits.signal.throwIfAborted();
        throw new RetryableError(`${login.tailnetIp}: ${errorMessage(error)}`, { cause: error });
      } finally {
        fail(new Error('it was given its line'));
      }
    },
    close: () => fail(new Error('it was closed')),
  };
}

function settings({ sshPrivateKey, hostPublicKeys }: ServerLogin) {
  const known = hostPublicKeys.map((key) => key.split(' ')[1]);
  return {
    username: 'ops',
    privateKey: sshPrivateKey,
    authHandler: ['publickey' as const],
    hostVerifier: (shown: Buffer) => known.includes(shown.toString('base64')),
    // Our keys are of this type. What has been read need not be compressed by a stranger.
    algorithms: { serverHostKey: ['ssh-ed25519' as const], compress: ['none' as const] },
    // The caller's deadline counts.
    readyTimeout: 0,
    keepaliveInterval: KEEPALIVE_MS,
    keepaliveCountMax: 3,
  };
}

function execute(client: Client): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    client.exec(COMMAND, (error, channel) => (error ? reject(error) : resolve(channel)));
  });
}

/** Returns a function that waits for the next line, which must be the expected one. */
function listen(
  channel: ClientChannel,
  fail: (reason: unknown) => void,
): (expected: string) => Promise<void> {
  let said = '';
  let complaint = '';
  let bytes = 0;
  let wanted: { expected: string; heard: PromiseWithResolvers<void> } | undefined;
  const count = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MOST_SAID) fail(new Error('the server says too much'));
    return chunk.toString();
  };
  // Settled while the data are handled: the end of the connection, which may follow at once, comes second.
  const look = () => {
    const end = said.indexOf('\n');
    if (wanted === undefined || end < 0) return;
    const { expected, heard } = wanted;
    const line = said.slice(0, end);
    said = said.slice(end + 1);
    wanted = undefined;
    if (line === expected) heard.resolve();
    else heard.reject(new Error(`the server says "${oneLine(line)}" instead of "${expected}"`));
  };
  channel.on('data', (chunk: Buffer) => {
    said += count(chunk);
    look();
  });
  channel.stderr.on('data', (chunk: Buffer) => {
    complaint += count(chunk);
  });
  channel.on('error', fail);
  channel.on('close', () => fail(new Error(oneLine(complaint) || 'the program has ended')));
  return (expected) => {
    const heard = Promise.withResolvers<void>();
    wanted = { expected, heard };
    look();
    return heard.promise;
  };
}
