import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Client, ClientChannel } from 'ssh2';
import { errorMessage, PermanentError, RetryableError } from '../../errors.ts';
import { oneLine } from '../../http-client/answer.ts';
import { withDeadline } from '../../http-client/deadline.ts';
import type { Dial } from '../agent-health.ts';

/** A server that the account `ops` logs in to. */
export interface ScriptTarget {
  address: string;
  /** OpenSSH's format. */
  sshPrivateKey: string;
  /** OpenSSH's format. A server that shows any other key gets nothing. */
  hostPublicKeys: readonly string[];
}

/** The server does not let the service in, or not yet. */
export class AccessError extends RetryableError {
  override name = 'AccessError';
  /** Whether it answered and refused the key; otherwise it could not be reached. */
  readonly isRefused: boolean;

  constructor(message: string, { isRefused, ...options }: ErrorOptions & { isRefused: boolean }) {
    super(message, options);
    this.isRefused = isRefused;
  }
}

const SSH_PORT = 22;
const LOGIN_SECONDS = 10;
const KEEPALIVE_MS = 5_000;
/** What a script may say in all, in bytes; its last line is what people are told. */
const MOST_SAID = 256 * 1024;
/** By which a script says that repeating it cannot help. */
const REFUSED_CODE = 3;

/**
 * Runs a script as root, from standard input, so that what is secret in it is in no argument and no file.
 * @throws AccessError; PermanentError if the server shows another host key, or the script refuses it;
 * RetryableError if it fails
 */
export async function runScript(
  dial: Dial,
  target: ScriptTarget,
  script: string,
  { seconds, signal }: { seconds: number; signal: AbortSignal },
): Promise<void> {
  const client = await logIn(dial, target, signal);
  try {
    const { code, complaint } = await withDeadline({ seconds, signal }, (own) =>
      execute(client, script, own),
    );
    if (code === 0) return;
    const why = `${target.address}: ${oneLine(complaint) || `the script ended with ${code}`}`;
    throw code === REFUSED_CODE ? new PermanentError(why) : new RetryableError(why);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof PermanentError || error instanceof RetryableError) throw error;
    throw new RetryableError(`SSH to ${target.address}: ${errorMessage(error)}`, { cause: error });
  } finally {
    client.destroy();
  }
}

async function logIn(dial: Dial, target: ScriptTarget, signal: AbortSignal): Promise<Client> {
  const ssh = await import('ssh2');
  const client = new ssh.Client();
  const known = target.hostPublicKeys.map((key) => key.split(' ')[1]);
  let isStranger = false;
  let socket: Socket | undefined;
  try {
    await withDeadline({ seconds: LOGIN_SECONDS, signal }, async (own) => {
      socket = await dial(target.address, SSH_PORT, own);
      socket.on('error', () => {});
      own.throwIfAborted();
      const ready = once(client, 'ready', { signal: own });
      client.connect({
        sock: socket,
        username: 'ops',
        privateKey: target.sshPrivateKey,
        authHandler: ['publickey'],
        hostVerifier: (shown: Buffer) => {
          isStranger = !known.includes(shown.toString('base64'));
          return !isStranger;
        },
        algorithms: { serverHostKey: ['ssh-ed25519'], compress: ['none'] },
        readyTimeout: 0,
        keepaliveInterval: KEEPALIVE_MS,
        keepaliveCountMax: 3,
      });
      await ready;
    });
    // Without a listener, a later error would end this process.
    client.on('error', () => {});
    return client;
  } catch (error) {
    client.on('error', () => {});
    client.destroy();
    socket?.destroy();
    signal.throwIfAborted();
    if (isStranger)
      throw new PermanentError(
        `${target.address} shows another SSH host key than the one that was given: nothing was sent to it`,
      );
    const isRefused = (error as { level?: string }).level === 'client-authentication';
    throw new AccessError(`SSH to ${target.address}: ${errorMessage(error)}`, { isRefused, cause: error });
  }
}

async function execute(
  client: Client,
  script: string,
  signal: AbortSignal,
): Promise<{ code: number | null; complaint: string }> {
  const channel = await new Promise<ClientChannel>((resolve, reject) => {
    client.exec('exec sudo -n /bin/sh -s', (error, opened) => (error ? reject(error) : resolve(opened)));
  });
  let bytes = 0;
  let complaint = '';
  const count = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MOST_SAID) client.destroy();
    return chunk.toString();
  };
  channel.on('data', count);
  channel.stderr.on('data', (chunk: Buffer) => {
    complaint = (complaint + count(chunk)).slice(-2_000);
  });
  let code: number | null = null;
  channel.on('exit', (exited: number | null) => {
    code = exited;
  });
  const closed = once(channel, 'close', { signal });
  channel.end(script);
  await closed;
  return { code, complaint: complaint.trim().split('\n').at(-1) ?? '' };
}
