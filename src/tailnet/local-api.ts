import type { Socket } from 'node:net';
import { z } from 'zod';
import { errorMessage, RetryableError } from '../errors.ts';
import { oneLine, parseAnswer, parseJson, readText } from '../http-client/answer.ts';
import { withDeadline } from '../http-client/deadline.ts';
import { beginRequest } from '../http-client/one-request.ts';
import type { Secret } from '../secret.ts';

const status = z.object({
  /** `NoState`, `NeedsLogin`, `NeedsMachineAuth`, `Starting`, `Running`, `Stopped`. */
  BackendState: z.string(),
  /** Whether it holds the key of an existing or removed device. */
  HaveNodeKey: z.boolean().optional(),
  /**
   * Whether the whole host is on the tailnet, through a network interface; else only dialled connections are.
   */
  TUN: z.boolean().optional(),
  Self: z
    .object({ ID: z.string(), HostName: z.string(), TailscaleIPs: z.array(z.string()).nullish() })
    .nullish(),
});
export type TailscaledStatus = z.infer<typeof status>;

/** The device as which a tailscaled joins. */
export interface Joining {
  authKey: Secret;
  hostname: string;
  /** Unset: Tailscale's own. */
  loginServer: string | undefined;
}

/**
 * Controls a running tailscaled through its unix socket, as the `tailscale` command does, but without a
 * process.
 */
export interface LocalApi {
  status(): Promise<TailscaledStatus>;
  join(joining: Joining): Promise<void>;
  /** Leaves the tailnet, which removes an ephemeral device. */
  leave(): Promise<void>;
  /** Connects to a tailnet address. @throws RetryableError if that fails */
  dial(address: string, port: number, signal: AbortSignal): Promise<Socket>;
}

const CALL_TIMEOUT_SECONDS = 5;
const TAILSCALE_CONTROL = 'https://controlplane.tailscale.com';

/**
 * Opens a tailscaled's API. Each call is bounded in time and size, and `dial` by its signal.
 * @see https://pkg.go.dev/tailscale.com/client/local for the calls of `tailscale status`, `up` and `nc`.
 */
export function createLocalApi(
  socketPath: string,
  { timeoutSeconds = CALL_TIMEOUT_SECONDS }: { timeoutSeconds?: number } = {},
): LocalApi {
  const call = (method: string, path: string, body?: object) =>
    withDeadline({ seconds: timeoutSeconds }, (signal) =>
      request(socketPath, { method, path, body, signal }),
    ).catch((error: unknown) => {
      throw new RetryableError(`tailscaled, ${path}: ${errorMessage(error)}`, { cause: error });
    });
  return {
    status: async () => {
      const text = await call('GET', 'status?peers=false');
      return parseAnswer(status, parseJson(text, 'tailscaled'), 'tailscaled');
    },
    join: async ({ authKey, hostname, loginServer }) => {
      await call('POST', 'start', {
        AuthKey: authKey.reveal(),
        UpdatePrefs: {
          ControlURL: loginServer ?? TAILSCALE_CONTROL,
          Hostname: hostname,
          WantRunning: true,
          // Outgoing connections only, regardless of the tailnet's policy.
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

/** Once tailscaled has connected, its socket's connection becomes the connection to the address. */
async function dial(socketPath: string, { address, port, signal }: Dialling): Promise<Socket> {
  const upgrade = {
    connection: 'upgrade',
    upgrade: 'ts-dial',
    'dial-host': address,
    'dial-port': String(port),
  };
  try {
    const begun = await beginRequest({ ...to(socketPath, 'POST', 'dial', upgrade), signal });
    if ('socket' in begun) {
      if (begun.head.length > 0) begun.socket.unshift(begun.head);
      return begun.socket;
    }
    const { response } = begun;
    // 200 means "dial it yourself": the address is not on the tailnet, and elsewhere it may be another
    // machine.
    if (response.statusCode === 200) {
      response.destroy();
      throw new Error('no device has this address');
    }
    throw new Error(oneLine(await readText(response, ERROR_BYTES)) || 'no answer');
  } catch (error) {
    const message = `${address} port ${port} over the tailnet: ${errorMessage(error)}`;
    throw new RetryableError(message, { cause: error });
  }
}

const HOST = 'local-tailscaled.sock';
const ERROR_BYTES = 64 * 1024;

function to(socketPath: string, method: string, path: string, headers: Record<string, string> = {}) {
  return {
    socketPath,
    method,
    path: `/localapi/v0/${path}`,
    headers: { host: HOST, ...headers },
    agent: false as const,
  };
}

interface Asking {
  method: string;
  path: string;
  body: object | undefined;
  signal: AbortSignal;
}

async function request(socketPath: string, { method, path, body, signal }: Asking): Promise<string> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const begun = await beginRequest({ ...to(socketPath, method, path), signal }, text);
  if ('socket' in begun) {
    begun.socket.destroy();
    throw new Error('it switched protocols without being asked');
  }
  const answer = await readText(begun.response);
  const status = begun.response.statusCode ?? 500;
  if (status >= 300) throw new Error(`${status} ${oneLine(answer)}`);
  return answer;
}
