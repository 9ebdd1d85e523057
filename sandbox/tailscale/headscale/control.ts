import { readFileSync } from 'node:fs';
import type { ControlServer, Device, DeviceChange } from '../control-server.ts';
import { TailscaleError } from '../errors.ts';
import { sandboxUser } from '../identity.ts';
import { type HeadscaleClient, HeadscaleError, NOT_FOUND, type Node, toDate, toTimestamp } from './client.ts';
import { enforceable } from './policy.ts';

/** The project's own: what it tells its operators to put into their tailnet is what the sandbox's enforces. */
const policyFile = new URL('../../../docs/tailnet-policy.hujson', import.meta.url);

const nodeKeyDays = 180;
const userName = 'operator';

/** The tailnet of real machines: whoever has one of its keys can join it, and it says who may reach whom. */
export async function createHeadscaleControl(client: HeadscaleClient): Promise<ControlServer> {
  const userId = await ensureUser(client);
  return {
    initialPolicy: readFileSync(policyFile, 'utf8'),
    createKey: async ({ request, expiresAt, caller }) => {
      const { reusable, ephemeral, tags } = request.capabilities.devices.create;
      const { preAuthKey } = await client.call('createPreAuthKey', {
        // A key with tags belongs to no user, nor do the devices that join with it.
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
      // Expired rather than deleted: devices that came in with it stay.
      if (controlNumber !== null) await client.call('expirePreAuthKey', { id: controlNumber });
    },
    listDevices: async () => (await client.call('listNodes', {})).nodes.map(toDevice),
    deleteDevice: (id) => unlessMissing(client.call('deleteNode', { nodeId: id })),
    changeDevice: (id, change) => unlessMissing(changeNode(client, id, change)),
    enforcePolicy: async (text) => {
      await client.call('setPolicy', { policy: enforceable(text, sandboxUser.loginName) }).catch(refused);
    },
  };
}

/** The user that the API key belongs to; owner of what has no tags. */
async function ensureUser(client: HeadscaleClient): Promise<string> {
  const { users } = await client.call('listUsers', { name: userName });
  const found = users[0] ?? (await client.call('createUser', newUser)).user;
  return found.id;
}

const newUser = { name: userName, email: sandboxUser.loginName };

async function changeNode(client: HeadscaleClient, id: string, change: DeviceChange): Promise<void> {
  const { authorized, tags, keyExpiryDisabled, name } = change;
  if (authorized === false) throw new TailscaleError(400, 'device approval is not enabled for this tailnet');
  if (name !== undefined)
    await client.call('renameNode', { nodeId: id, newName: name || (await hostnameOf(client, id)) });
  if (tags !== undefined) await client.call('setTags', { nodeId: id, tags });
  if (keyExpiryDisabled === true) await client.call('expireNode', { nodeId: id, disableExpiry: true });
  if (keyExpiryDisabled === false)
    await client.call('expireNode', { nodeId: id, expiry: toTimestamp(inDays(new Date())) });
}

/** headscale has no way back to a name that follows the hostname; what it says now is the nearest. */
async function hostnameOf(client: HeadscaleClient, id: string): Promise<string> {
  const { nodes } = await client.call('listNodes', {});
  return nodes.find((node) => node.id === id)?.name ?? '';
}

async function unlessMissing(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (error instanceof HeadscaleError && error.code === NOT_FOUND) return false;
    return refused(error);
  }
}

/** What headscale answered and refused; all else is a failure of the sandbox's own. */
function refused(error: unknown): never {
  if (error instanceof HeadscaleError && error.refusal !== undefined)
    throw new TailscaleError(400, error.refusal);
  throw error;
}

/** A node of headscale's as a device of Tailscale's. Ids are never given twice. */
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
    registeredBy: node.tags.length > 0 ? 'tagged-devices' : sandboxUser.loginName,
    authorized: true,
    ephemeral: node.preAuthKey?.ephemeral ?? false,
    keyExpiryDisabled: expiresAt === undefined,
    machineKey: node.machineKey,
    nodeKey: node.nodeKey,
    createdAt,
    expiresAt: expiresAt ?? inDays(createdAt),
    connected: node.online,
    lastSeenAt: toDate(node.lastSeen),
  };
}

function inDays(date: Date): Date {
  return new Date(date.getTime() + nodeKeyDays * 24 * 3600 * 1000);
}
