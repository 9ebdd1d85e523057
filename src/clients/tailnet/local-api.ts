import type { IncomingMessage } from 'node:http';
import http from 'node:http';
import type { Socket } from 'node:net';
import { z } from 'zod';
import { RetryableError } from '../../errors.ts';
import type { Secret } from '../../secret.ts';

const status = z.object({
  /** `NoState`, `NeedsLogin`, `NeedsMachineAuth`, `Starting`, `Running`, `Stopped`. */
  BackendState: z.string(),
  /** Whether it keeps the key of a device that it is, or was. */
  HaveNodeKey: z.boolean().optional(),
  /** Whether the whole host is on the tailnet, by a network interface; otherwise only what is dialled through it. */
  TUN: z.boolean().optional(),
  Self: z
    .object({ ID: z.string(), HostName: z.string(), TailscaleIPs: z.array(z.string()).nullish() })
    .nullish(),
});
export type TailscaledStatus = z.infer<typeof status>;

/** As whom a tailscaled is to join. */
export interface Joining {
  authKey: Secret;
  hostname: string;
  /** Where it is not Tailscale's own. */
  loginServer: string | undefined;
}

/** A running tailscaled, asked over its unix socket as the `tailscale` command asks it, without a process for each question. */
export interface LocalApi {
  status(): Promise<TailscaledStatus>;
  join(joining: Joining): Promise<void>;
  /** Leaves the tailnet; an ephemeral device is gone by this. */
  leave(): Promise<void>;
  /** A connection to a tailnet address. @throws RetryableError where there is none to be had in time */
  dial(address: string, port: number, signal: AbortSignal): Promise<Socket>;
}

const CALL_TIMEOUT_MS = 5_000;
const TAILSCALE_CONTROL = 'https://controlplane.tailscale.com';

/** @see https://pkg.go.dev/tailscale.com/client/local what `tailscale status`, `up` and `nc` call. */
export function createLocalApi(socketPath: string): LocalApi {
  const call = async (method: string, path: string, body?: object) => {
    const response = await request(
      socketPath,
      { method, path, signal: AbortSignal.timeout(CALL_TIMEOUT_MS) },
      body,
    );
    const text = await textOf(response);
    if ((response.statusCode ?? 500) >= 300)
      throw new RetryableError(`tailscaled, ${path}: ${response.statusCode} ${text.trim()}`);
    return text;
  };
  return {
    status: async () => status.parse(JSON.parse(await call('GET', 'status?peers=false'))),
    join: async ({ authKey, hostname, loginServer }) => {
      await call('POST', 'start', {
        AuthKey: authKey.reveal(),
        UpdatePrefs: {
          ControlURL: loginServer ?? TAILSCALE_CONTROL,
          Hostname: hostname,
          WantRunning: true,
          // It goes out to agents. Nobody comes in by it, whatever the tailnet's policy allows.
          ShieldsUp: true,
          RouteAll: false,
          CorpDNS: false,
        },
      });
      await call('POST', 'login-interactive');
    },
    leave: async () => void (await call('POST', 'logout')),
    dial: (address, port, signal) => dial(socketPath, { address, port, signal }),
  };
}

interface Dialling {
  address: string;
  port: number;
  signal: AbortSignal;
}

/** The connection to the socket becomes the one to the address, once tailscaled has that. */
function dial(socketPath: string, { address, port, signal }: Dialling): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const outgoing = http.request({
      ...to(socketPath, 'POST', 'dial'),
      headers: {
        host: HOST,
        connection: 'upgrade',
        upgrade: 'ts-dial',
        'dial-host': address,
        'dial-port': String(port),
      },
      signal,
    });
    const fail = (reason: string, cause?: unknown) =>
      reject(new RetryableError(`${address} port ${port} over the tailnet: ${reason}`, { cause }));
    outgoing.on('upgrade', (_response, socket: Socket, head) => {
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    // 200 means "dial it yourself": it is no address of the tailnet, and nobody else's will do.
    outgoing.on('response', (response) => {
      void textOf(response).then(
        (text) => fail(response.statusCode === 200 ? 'there is no such device' : text.trim()),
        (error) => fail('no answer', error),
      );
    });
    outgoing.on('error', (error) => fail(error.message, error));
    outgoing.end();
  });
}

const HOST = 'local-tailscaled.sock';

function to(socketPath: string, method: string, path: string) {
  return { socketPath, method, path: `/localapi/v0/${path}`, agent: false as const };
}

function request(
  socketPath: string,
  { method, path, signal }: { method: string; path: string; signal: AbortSignal },
  body?: object,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = http.request(
      { ...to(socketPath, method, path), headers: { host: HOST }, signal },
      resolve,
    );
    outgoing.on('error', (error) =>
      reject(new RetryableError(`tailscaled: ${error.message}`, { cause: error })),
    );
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
