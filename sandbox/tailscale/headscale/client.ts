import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** A protobuf timestamp. `seconds` is a 64-bit number in decimal. */
export type Timestamp = { seconds: string; nanos: number } | null;

export interface PreAuthKey {
  id: string;
  key: string;
  used: boolean;
  ephemeral: boolean;
  expiration: Timestamp;
}

export interface Node {
  id: string;
  machineKey: string;
  nodeKey: string;
  ipAddresses: string[];
  /** The hostname that the machine reports. */
  name: string;
  /** The assigned name, or the hostname if there is none: a DNS label unique in the tailnet. */
  givenName: string;
  lastSeen: Timestamp;
  expiry: Timestamp;
  preAuthKey: PreAuthKey | null;
  createdAt: Timestamp;
  online: boolean;
  tags: string[];
}

interface User {
  id: string;
  name: string;
}

interface Calls {
  health: [object, object];
  listUsers: [{ name: string }, { users: User[] }];
  createUser: [{ name: string; email: string }, { user: User }];
  createPreAuthKey: [
    { user: string; reusable: boolean; ephemeral: boolean; expiration: Timestamp; aclTags: string[] },
    { preAuthKey: PreAuthKey },
  ];
  listPreAuthKeys: [object, { preAuthKeys: PreAuthKey[] }];
  expirePreAuthKey: [{ id: string }, object];
  listNodes: [object, { nodes: Node[] }];
  deleteNode: [{ nodeId: string }, object];
  renameNode: [{ nodeId: string; newName: string }, object];
  setTags: [{ nodeId: string; tags: string[] }, object];
  expireNode: [{ nodeId: string; expiry?: Timestamp; disableExpiry?: boolean }, object];
  setPolicy: [{ policy: string }, object];
}

/** headscale's admin API on its unix socket. It requires only access to the socket. */
export interface HeadscaleClient {
  /** Waits while headscale restarts. @throws HeadscaleError */
  call<M extends keyof Calls>(method: M, request: Calls[M][0]): Promise<Calls[M][1]>;
  close(): void;
}

/** An error of headscale, with its message and gRPC status code. */
export class HeadscaleError extends Error {
  readonly code: number;
  /** Why headscale rejected the request; undefined if it did not answer. */
  readonly refusal: string | undefined;

  constructor(method: string, { code, details }: grpc.ServiceError) {
    super(`headscale, ${method}: ${details}`);
    this.code = code;
    this.refusal = NO_ANSWER.includes(code) ? undefined : details;
  }
}

const NO_ANSWER: number[] = [grpc.status.UNAVAILABLE, grpc.status.DEADLINE_EXCEEDED, grpc.status.CANCELLED];

export const NOT_FOUND = grpc.status.NOT_FOUND;

const CALL_TIMEOUT_MS = 10_000;
const LONGEST_PAUSE_MS = 500;
const RETRY_PAUSE_MS = 100;

type Unary = (
  request: object,
  options: grpc.CallOptions,
  done: (error: grpc.ServiceError | null, answer: object) => void,
) => void;

/** Connects to headscale's admin socket. */
export function createHeadscaleClient(socket: string): HeadscaleClient {
  const service = connect(socket);
  const callOnce = (method: keyof Calls, request: object, deadline: number) =>
    new Promise<object>((resolve, reject) => {
      // The generic constructor does not type the service's methods.
      const call = service[method] as unknown as Unary;
      call.call(service, request, { deadline, waitForReady: true }, (error, answer) => {
        if (error === null) resolve(answer);
        else reject(new HeadscaleError(method, error));
      });
    });
  return {
    call: async (method, request) => {
      const deadline = Date.now() + CALL_TIMEOUT_MS;
      for (;;) {
        try {
          return (await callOnce(method, request, deadline)) as never;
        } catch (error) {
          // headscale exited during the call and restarts. Every call may be repeated: a key that was never
          // returned does no harm.
          const dropped = error instanceof HeadscaleError && error.code === grpc.status.UNAVAILABLE;
          if (!dropped || Date.now() > deadline) throw error;
          await pause(RETRY_PAUSE_MS);
        }
      }
    },
    close: () => service.close(),
  };
}

function connect(socket: string): grpc.Client & Record<string, unknown> {
  const definition = loadSync(fileURLToPath(new URL('headscale.proto', import.meta.url)), {
    longs: String,
    defaults: true,
    arrays: true,
  });
  const Service = grpc.makeGenericClientConstructor(
    definition['headscale.v1.HeadscaleService'] as grpc.ServiceDefinition,
    'HeadscaleService',
  );
  return new Service(`unix:${socket}`, grpc.credentials.createInsecure(), {
    // Reconnects immediately after a restart; gRPC's default backoff is a second or more.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': LONGEST_PAUSE_MS,
    'grpc.min_reconnect_backoff_ms': 100,
  });
}

/** Returns a date as a protobuf timestamp. */
export function toTimestamp(date: Date): Timestamp {
  const milliseconds = date.getTime();
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds: String(seconds), nanos: (milliseconds - seconds * 1000) * 1_000_000 };
}

/** Returns a protobuf timestamp as a date. headscale encodes "never" as the zero time or as null. */
export function toDate(timestamp: Timestamp): Date | undefined {
  if (timestamp === null || Number(timestamp.seconds) <= 0) return undefined;
  return new Date(Number(timestamp.seconds) * 1000 + Math.floor(timestamp.nanos / 1_000_000));
}
