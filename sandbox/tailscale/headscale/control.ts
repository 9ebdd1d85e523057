import { readFileSync } from 'node:fs';
import type { ControlServer, Device, DeviceChange } from '../control-server.ts';
import { TailscaleError } from '../errors.ts';
import { SANDBOX_USER } from '../identity.ts';
import { type HeadscaleClient, HeadscaleError, NOT_FOUND, type Node, toDate, toTimestamp } from './client.ts';
import type { Headscale } from './headscale.ts';
import { toHeadscalePolicy } from './policy.ts';

/** The policy that the project's documentation recommends, so the sandbox enforces the same. */
const POLICY_FILE = new URL('../../../docs/tailnet-policy.hujson', import.meta.url);

const NODE_KEY_DAYS = 180;
/** Longer than headscale's own `inactivity_timeout`. */
const EPHEMERAL_MS = 100_000;
const USER_NAME = 'operator';

/** Creates the control server of real machines, which headscale implements. */
export async function createHeadscaleControl({
  client,
  startedAt,
}: Pick<Headscale, 'client' | 'startedAt'>): Promise<ControlServer> {
  const userId = await ensureUser(client);
  return {
    initialPolicy: readFileSync(POLICY_FILE, 'utf8'),
    createKey: async ({ request, expiresAt, caller }) => {
      const { reusable, ephemeral, tags } = request.capabilities.devices.create;
      const { preAuthKey } = await client.call('createPreAuthKey', {
        // A tagged key and the devices that join with it belong to no user.
        user: tags.length > 0 || caller.userId === '' ? '0' : userId,
        reusable,
        ephemeral,
        expiration: toTimestamp(expiresAt),
        aclTags: tags,
      });
      return { secret: preAuthKey.key, controlNumber: preAuthKey.id };
    },
    keyStates: async () => {
      const { preAuthKeys } = await client.call('listPreAuthKeys', {});
      const now = new Date();
      return new Map(
        preAuthKeys.map(({ id, used, expiration }) => {
          const until = toDate(expiration);
          return [id, { used, expired: until !== undefined && until <= now }];
        }),
      );
    },
    revokeKey: async (controlNumber) => {
      // Expires the key instead of deleting it: devices that joined with it stay.
      if (controlNumber !== null) await client.call('expirePreAuthKey', { id: controlNumber });
    },
    listDevices: async () => {
      const devices = (await client.call('listNodes', {})).nodes.map(toDevice);
      const stale = devices.filter((device) => isStale(device, startedAt()));
      for (const { id } of stale) await isFound(client.call('deleteNode', { nodeId: id }));
      return devices.filter((device) => !stale.includes(device));
    },
    deleteDevice: (id) => isFound(client.call('deleteNode', { nodeId: id })),
    changeDevice: (id, change) => isFound(changeNode(client, id, change)),
    enforcePolicy: async (text) => {
      await client
        .call('setPolicy', { policy: toHeadscalePolicy(text, SANDBOX_USER.loginName) })
        .catch(throwRefusal);
    },
  };
}

/** Returns the id of the API key's user, who owns untagged keys and devices. */
async function ensureUser(client: HeadscaleClient): Promise<string> {
  const { users } = await client.call('listUsers', { name: USER_NAME });
  const found = users[0] ?? (await client.call('createUser', NEW_USER)).user;
  return found.id;
}

const NEW_USER = { name: USER_NAME, email: SANDBOX_USER.loginName };

async function changeNode(client: HeadscaleClient, id: string, change: DeviceChange): Promise<void> {
  const { authorized, tags, keyExpiryDisabled, name } = change;
  if (authorized === false) throw new TailscaleError(400, 'device approval is not enabled for this tailnet');
  if (name !== undefined)
    await client.call('renameNode', { nodeId: id, newName: name || (await readHostname(client, id)) });
  if (tags !== undefined) await client.call('setTags', { nodeId: id, tags });
  if (keyExpiryDisabled === true) await client.call('expireNode', { nodeId: id, disableExpiry: true });
  if (keyExpiryDisabled === false)
    await client.call('expireNode', { nodeId: id, expiry: toTimestamp(addNodeKeyDays(new Date())) });
}

/**
 * Reads the current hostname: headscale cannot make a name follow the hostname again, so this comes closest.
 */
async function readHostname(client: HeadscaleClient, id: string): Promise<string> {
  const { nodes } = await client.call('listNodes', {});
  return nodes.find((node) => node.id === id)?.name ?? '';
}

/**
 * Whether Tailscale would have removed an ephemeral device. headscale does so too, but only for one that has
 * been connected: it forgets one whose process was killed between joining and connecting.
 */
function isStale({ ephemeral, connected, lastSeenAt, createdAt }: Device, startedAt: number): boolean {
  // After a restart of the control server, also one by itself, its devices need a moment to connect again.
  const since = Math.max(startedAt, (lastSeenAt ?? createdAt).getTime());
  return ephemeral && !connected && Date.now() - since > EPHEMERAL_MS;
}

async function isFound(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (error instanceof HeadscaleError && error.code === NOT_FOUND) return false;
    return throwRefusal(error);
  }
}

/** Turns a rejection by headscale into a 400; any other error is the sandbox's own failure. */
function throwRefusal(error: unknown): never {
  if (error instanceof HeadscaleError && error.refusal !== undefined)
    throw new TailscaleError(400, error.refusal);
  throw error;
}

/** Converts a headscale node to a Tailscale device. headscale never reuses ids. */
export function toDevice(node: Node): Device {
  const createdAt = toDate(node.createdAt) ?? new Date(0);
  const expiresAt = toDate(node.expiry);
  return {
    id: node.id,
    nodeId: `n${node.id}CNTRL`,
    hostname: node.name,
    label: node.givenName,
    addresses: node.ipAddresses,
    tags: node.tags,
    registeredBy: node.tags.length > 0 ? 'tagged-devices' : SANDBOX_USER.loginName,
    authorized: true,
    ephemeral: node.preAuthKey?.ephemeral ?? false,
    keyExpiryDisabled: expiresAt === undefined,
    machineKey: node.machineKey,
    nodeKey: node.nodeKey,
    createdAt,
    expiresAt: expiresAt ?? addNodeKeyDays(createdAt),
    connected: node.online,
    lastSeenAt: toDate(node.lastSeen),
  };
}

function addNodeKeyDays(date: Date): Date {
  return new Date(date.getTime() + NODE_KEY_DAYS * 24 * 3600 * 1000);
}
