import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** A moment as protobuf writes it; `seconds` is a decimal number, too long for some languages' own. */
export type Timestamp = { seconds: string; nanos: number } | null;

export type PreAuthKey = {
  id: string;
  key: string;
  used: boolean;
  ephemeral: boolean;
  expiration: Timestamp;
};

export type Node = {
  id: string;
  machineKey: string;
  nodeKey: string;
  ipAddresses: string[];
  /** As the machine calls itself. */
  name: string;
  /** The name that it was given, or else the same, as a DNS label that no other device has. */
  givenName: string;
  lastSeen: Timestamp;
  expiry: Timestamp;
  preAuthKey: PreAuthKey | null;
  createdAt: Timestamp;
  online: boolean;
  tags: string[];
};

type User = { id: string; name: string };

type Calls = {
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
};

/** headscale's administration, over its unix socket: whoever may open that is its administrator. */
export interface HeadscaleClient {
  /** Waits for a headscale that is being started again. @throws HeadscaleError */
  call<M extends keyof Calls>(method: M, request: Calls[M][0]): Promise<Calls[M][1]>;
  close(): void;
}

/** headscale's own refusal, in its words; `code` is one of gRPC's. */
export class HeadscaleError extends Error {
  readonly code: number;
  /** What it says against the request; undefined where it gave no answer. */
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

export function createHeadscaleClient(socket: string): HeadscaleClient {
  const definition = loadSync(fileURLToPath(new URL('headscale.proto', import.meta.url)), {
    longs: String,
    defaults: true,
    arrays: true,
  });
  const Service = grpc.makeGenericClientConstructor(
    definition['headscale.v1.HeadscaleService'] as grpc.ServiceDefinition,
    'HeadscaleService',
  );
  const service = new Service(`unix:${socket}`, grpc.credentials.createInsecure(), {
    // A headscale that was started again is noticed at once, not after gRPC's usual pause of a second and more.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': LONGEST_PAUSE_MS,
    'grpc.min_reconnect_backoff_ms': 100,
  });
  const callOnce = (method: keyof Calls, request: object, deadline: number) =>
    new Promise<object>((resolve, reject) => {
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
          // It ended during the call, and is being started again. Every call may be made twice: a key that nobody has seen harms nobody.
          const dropped = error instanceof HeadscaleError && error.code === grpc.status.UNAVAILABLE;
          if (!dropped || Date.now() > deadline) throw error;
          await pause(RETRY_PAUSE_MS);
        }
      }
    },
    close: () => service.close(),
  };
}

export function toTimestamp(date: Date): Timestamp {
  const milliseconds = date.getTime();
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds: String(seconds), nanos: (milliseconds - seconds * 1000) * 1_000_000 };
}

/** Headscale writes "never" as a moment of zero, or as none. */
export function toDate(timestamp: Timestamp): Date | undefined {
  if (timestamp === null || Number(timestamp.seconds) <= 0) return undefined;
  return new Date(Number(timestamp.seconds) * 1000 + Math.floor(timestamp.nanos / 1_000_000));
}
