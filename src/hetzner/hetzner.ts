import { z } from 'zod';
import { MANAGED, toLabels } from '../../stacks/labels.ts';
import { RetryableError } from '../errors.ts';
import { parseAnswer } from '../http-client/answer.ts';
import type { CallWatch } from '../http-client/exchange.ts';
import { createServerActions, failureReason, followAction, type ServerActions, toAction } from './actions.ts';
import {
  type Call,
  createCall,
  HETZNER,
  type HetznerAccount,
  type List,
  orMissing,
  type Page,
  readList,
  readPage,
  withLabels,
  withName,
} from './calls.ts';
import {
  type Firewall,
  firewallSchema,
  pricingSchema,
  type Server,
  type ServerPrice,
  type ServerType,
  type SshKey,
  serverSchema,
  serverTypeSchema,
  sshKeySchema,
} from './resources.ts';
import { describeServer, type ServerDescription } from './server-description.ts';
import { createSnapshotCalls, type SnapshotCalls } from './snapshots.ts';

export type { HetznerAccount, Page } from './calls.ts';
export type { Firewall, Server, ServerPrice, ServerType, Snapshot, SshKey } from './resources.ts';
export type { ServerDescription } from './server-description.ts';

/** The service's own calls to Hetzner; the stacks create the resources. @see https://docs.hetzner.cloud */
export interface HetznerClient extends ServerActions, SnapshotCalls {
  /** Lists all servers with the labels of this agent, or of any agent if none is given. */
  listServers(agentId?: string): Promise<Server[]>;
  listSshKeys(agentId?: string): Promise<SshKey[]>;
  /** Lists resources with the labels of any agent, 50 a page. */
  serverPage(page: number): Promise<Page<Server>>;
  sshKeyPage(page: number): Promise<Page<SshKey>>;
  /** Finds a server by its name, which is unique in a project. */
  findServer(name: string): Promise<Server | undefined>;
  findSshKey(name: string): Promise<SshKey | undefined>;
  findFirewall(name: string): Promise<Firewall | undefined>;
  findServerType(name: string): Promise<ServerType | undefined>;
  /** Lists what every server type costs in every location. */
  listServerPrices(): Promise<ServerPrice[]>;
  /** Returns undefined if it does not exist. */
  getServer(serverId: string): Promise<Server | undefined>;
  /** Replaces all labels. */
  setServerLabels(serverId: string, labels: Record<string, string>): Promise<void>;
  /** Renames a server and replaces all its labels, in one call. */
  setServerIdentity(
    serverId: string,
    identity: { name: string; labels: Record<string, string> },
  ): Promise<void>;
  setSshKeyLabels(keyId: string, labels: Record<string, string>): Promise<void>;
  /** Uploads a key. @throws what Hetzner refuses, such as a key that the project has already */
  createSshKey(key: { name: string; publicKey: string; labels: Record<string, string> }): Promise<void>;
  /** Finds a server by its id or its name, with all that an adoption has to know. */
  describeServer(idOrName: string): Promise<ServerDescription | undefined>;
  /** Whether the action that creates or starts the server has failed: it will not come up by itself. */
  failedToStart(serverId: string): Promise<boolean>;
  /**
   * Deletes a server; a missing one is fine. With `wait`, returns once it is gone.
   * @throws RetryableError if it stays.
   */
  deleteServer(serverId: string, options: { wait: boolean }): Promise<void>;
  deleteSshKey(keyId: string): Promise<void>;
}

const SERVERS: List<Server> = { kind: 'servers', item: serverSchema };
const SSH_KEYS: List<SshKey> = { kind: 'ssh_keys', item: sshKeySchema };
const FIREWALLS: List<Firewall> = { kind: 'firewalls', item: firewallSchema };
const SERVER_TYPES: List<ServerType> = { kind: 'server_types', item: serverTypeSchema };

const failedActions = z.object({ actions: z.array(z.object({ command: z.string() })) });
const STARTS = new Set(['create_server', 'start_server']);

/** The maximum number of calls for removing a server. */
export const CALLS_PER_SERVER_REMOVAL = 9;
/** Counts calls, not time: Hetzner may answer slowly. The first poll sees the answer of the delete. */
const REMOVAL = { intervalMs: 200, longestIntervalMs: 5_000, maxPolls: CALLS_PER_SERVER_REMOVAL };

/** `watch` observes every call. */
export function createHetznerClient(account: HetznerAccount, watch?: CallWatch): HetznerClient {
  const call = createCall(account, watch);
  const ofAgent = (agentId: string | undefined) =>
    withLabels(agentId === undefined ? MANAGED : toLabels({ agentId }));
  const find = async <T>(list: List<T>, name: string) => (await readList(call, list, withName(name)))[0];
  return {
    ...createServerActions(call),
    ...createSnapshotCalls(call),
    listServers: (agentId) => readList(call, SERVERS, ofAgent(agentId)),
    listSshKeys: (agentId) => readList(call, SSH_KEYS, ofAgent(agentId)),
    serverPage: (page) => readPage(call, SERVERS, { query: withLabels(MANAGED), page }),
    sshKeyPage: (page) => readPage(call, SSH_KEYS, { query: withLabels(MANAGED), page }),
    findServer: (name) => find(SERVERS, name),
    findSshKey: (name) => find(SSH_KEYS, name),
    findFirewall: (name) => find(FIREWALLS, name),
    findServerType: (name) => find(SERVER_TYPES, name),
    listServerPrices: async () => parseAnswer(pricingSchema, await call('GET', '/pricing'), HETZNER),
    getServer: async (serverId) => {
      const answer = await orMissing(call('GET', `/servers/${serverId}`));
      if (answer === undefined) return undefined;
      return parseAnswer(z.object({ server: serverSchema }), answer, HETZNER).server;
    },
    setServerLabels: async (serverId, labels) =>
      void (await call('PUT', `/servers/${serverId}`, { body: { labels } })),
    setServerIdentity: async (serverId, identity) =>
      void (await call('PUT', `/servers/${serverId}`, { body: identity })),
    createSshKey: async ({ name, publicKey, labels }) =>
      void (await call('POST', '/ssh_keys', { body: { name, public_key: publicKey, labels } })),
    describeServer: (idOrName) => describeServer(call, idOrName),
    setSshKeyLabels: async (keyId, labels) =>
      void (await call('PUT', `/ssh_keys/${keyId}`, { body: { labels } })),
    failedToStart: async (serverId) => {
      const answer = await orMissing(call('GET', `/servers/${serverId}/actions?status=error&per_page=50`));
      const { actions } = parseAnswer(failedActions, answer ?? { actions: [] }, HETZNER);
      return actions.some(({ command }) => STARTS.has(command));
    },
    deleteServer: (serverId, options) => deleteServer(call, serverId, options),
    deleteSshKey: async (keyId) => void (await orMissing(call('DELETE', `/ssh_keys/${keyId}`))),
  };
}

async function deleteServer(call: Call, serverId: string, { wait }: { wait: boolean }): Promise<void> {
  const answer = await orMissing(call('DELETE', `/servers/${serverId}`));
  if (answer === undefined || !wait) return;
  const begun = toAction(answer);
  const ended = await followAction(call, begun, REMOVAL);
  if (ended === undefined)
    throw new RetryableError(`Hetzner accepted the delete and has not finished it (action ${begun.id})`);
  if (ended.status === 'error')
    throw new RetryableError(`Hetzner's delete ended in an error: ${failureReason(ended)}`);
}
