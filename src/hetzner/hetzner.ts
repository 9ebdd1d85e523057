import { z } from 'zod';
import { RetryableError } from '../errors.ts';
import { parseAnswer } from '../http-client/answer.ts';
import type { CallLimits } from '../http-client/exchange.ts';
import { HttpError, requestJson } from '../http-client/request.ts';
import type { Secret } from '../secret.ts';
import { createServerActions, type ServerActions } from './actions.ts';
import { hetznerError } from './refusals.ts';

export const server = z.object({
  id: z.number(),
  name: z.string(),
  status: z.string(),
  labels: z.record(z.string(), z.string()),
  /** Another action on it runs. */
  locked: z.boolean(),
  protection: z.object({ delete: z.boolean(), rebuild: z.boolean() }),
  /** In GB. */
  primary_disk_size: z.number(),
  public_net: z.object({
    ipv4: z.object({ ip: z.string() }).nullable(),
    ipv6: z.object({ ip: z.string() }).nullable(),
    firewalls: z.array(z.object({ id: z.number().optional() })).default([]),
  }),
});
export type HetznerServer = z.infer<typeof server>;

export const labelled = z.object({
  id: z.number(),
  name: z.string(),
  labels: z.record(z.string(), z.string()),
});
export type LabelledResource = z.infer<typeof labelled>;

const sshKey = labelled.extend({ public_key: z.string() });
export type HetznerSshKey = z.infer<typeof sshKey>;

const meta = z.object({
  meta: z.object({ pagination: z.object({ next_page: z.number().nullable() }) }).optional(),
});

const serverType = z.object({ name: z.string(), disk: z.number() });
/** `disk` in GB. */
export type ServerType = z.infer<typeof serverType>;

/** Of 50 each: more than any project may hold. */
const MOST_PAGES = 1000;

const actions = z.object({ actions: z.array(z.object({ command: z.string() })) });
const STARTS = new Set(['create_server', 'start_server']);

/** Kinds of resources, as the API's paths name them. */
export type Labelled = 'servers' | 'ssh_keys';
/** How an answer is spoken of that is not as Hetzner's are. */
export const HETZNER = 'Hetzner';

export interface HetznerAccount extends CallLimits {
  token: Secret;
  endpoint: string;
}

/** What the service itself asks Hetzner; creating is the stacks' business. @see https://docs.hetzner.cloud */
export interface HetznerClient extends ServerActions {
  /** Servers with all these labels; every page. */
  listServers(labels: Record<string, string>): Promise<HetznerServer[]>;
  listSshKeys(labels: Record<string, string>): Promise<HetznerSshKey[]>;
  /** By its name, which is unique in a project. */
  findServer(name: string): Promise<HetznerServer | undefined>;
  findSshKey(name: string): Promise<HetznerSshKey | undefined>;
  /** Replaces all labels. */
  setLabels(kind: Labelled, id: string, labels: Record<string, string>): Promise<void>;
  findFirewall(name: string): Promise<LabelledResource | undefined>;
  /** undefined where it is not there. */
  getServer(serverId: string): Promise<HetznerServer | undefined>;
  findServerType(name: string): Promise<ServerType | undefined>;
  /** Whether an action that was to create or start the server has ended in an error: it will not come up by itself. */
  failedToStart(serverId: string): Promise<boolean>;
  /** Deletes, and waits for nothing; what is gone already is fine. */
  deleteServer(serverId: string): Promise<void>;
  deleteSshKey(keyId: string): Promise<void>;
}

export function createHetznerClient(account: HetznerAccount): HetznerClient {
  const call = (
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    { body, signal }: { body?: object; signal?: AbortSignal } = {},
  ) =>
    requestJson({
      method,
      url: `${account.endpoint}${path}`,
      headers: {
        authorization: `Bearer ${account.token.reveal()}`,
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
      signal,
      timeoutSeconds: account.timeoutSeconds,
    }).catch((error) => Promise.reject(hetznerError(error)));

  async function list<T>(path: string, key: string, item: z.ZodType<T>, query: string): Promise<T[]> {
    const found: T[] = [];
    for (let next: number | null = 1; next !== null; ) {
      if (next > MOST_PAGES) throw new RetryableError(`${HETZNER} answers with page after page of ${path}`);
      const answer = await call('GET', `/${path}?${query}&per_page=50&page=${next}`);
      found.push(...itemsOf(answer, key, item));
      next = nextPage(parseAnswer(meta, answer, HETZNER).meta?.pagination.next_page, next);
    }
    return found;
  }

  return {
    ...createServerActions(call),
    listServers: (labels) => list('servers', 'servers', server, selector(labels)),
    listSshKeys: (labels) => list('ssh_keys', 'ssh_keys', sshKey, selector(labels)),
    findServer: async (name) => (await list('servers', 'servers', server, named(name)))[0],
    findSshKey: async (name) => (await list('ssh_keys', 'ssh_keys', sshKey, named(name)))[0],
    setLabels: async (kind, id, labels) => void (await call('PUT', `/${kind}/${id}`, { body: { labels } })),
    findFirewall: async (name) => (await list('firewalls', 'firewalls', labelled, named(name)))[0],
    findServerType: async (name) => (await list('server_types', 'server_types', serverType, named(name)))[0],
    getServer: async (serverId) => {
      const answer = await orMissing(call('GET', `/servers/${serverId}`));
      return answer === undefined ? undefined : parseAnswer(z.object({ server }), answer, HETZNER).server;
    },
    failedToStart: async (serverId) => {
      const answer = await orMissing(call('GET', `/servers/${serverId}/actions?status=error&per_page=50`));
      return parseAnswer(actions, answer ?? { actions: [] }, HETZNER).actions.some(({ command }) =>
        STARTS.has(command),
      );
    },
    deleteServer: async (serverId) => void (await orMissing(call('DELETE', `/servers/${serverId}`))),
    deleteSshKey: async (keyId) => void (await orMissing(call('DELETE', `/ssh_keys/${keyId}`))),
  };
}

const named = (name: string) => `name=${encodeURIComponent(name)}`;

/** The items of a page of a list. */
export function itemsOf<T>(answer: unknown, key: string, item: z.ZodType<T>): T[] {
  const page = parseAnswer(z.object({ [key]: z.array(item) }), answer, HETZNER);
  return page[key] ?? [];
}

/** The number of the next page; null after the last one, and where it would lead back. */
export function nextPage(given: number | null | undefined, page: number): number | null {
  return typeof given === 'number' && given > page ? given : null;
}

/** The query that asks for resources with all these labels. */
export function selector(labels: Record<string, string>): string {
  const text = Object.entries(labels)
    .map(([key, value]) => `${key}==${value}`)
    .join(',');
  return `label_selector=${encodeURIComponent(text)}`;
}

/** undefined where the API says 404. */
export async function orMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof HttpError && error.status === 404) return undefined;
    throw error;
  }
}
