import { createHash } from 'node:crypto';
import type { Field, Fields } from '../fields.ts';
import { isRecord, type Properties } from '../values.ts';

/** The server's inputs as terraform-provider-hcloud declares them. */
export const serverFields: Fields = {
  name: { kind: 'text' },
  serverType: { kind: 'text' },
  image: { kind: 'text', replaces: true, computed: true },
  location: { kind: 'text', replaces: true, computed: true },
  datacenter: { kind: 'text', replaces: true, computed: true },
  userData: { kind: 'text', replaces: true, same: sameUserData },
  sshKeys: { kind: 'list', replaces: true },
  labels: { kind: 'map' },
  firewallIds: { kind: 'set', computed: true, same: sameFirewalls },
  publicNets: { kind: 'set', computed: true, same: samePublicNets },
  placementGroupId: { kind: 'number' },
  keepDisk: flag(),
  allowDeprecatedImages: flag(),
  backups: flag(),
  ignoreRemoteFirewallIds: flag(),
  deleteProtection: flag(),
  rebuildProtection: flag(),
  shutdownBeforeDeletion: flag(),
};

/** Inputs that the API never returns: they keep the program's last values. */
const UNREADABLE_INPUTS = [
  'sshKeys',
  'keepDisk',
  'allowDeprecatedImages',
  'ignoreRemoteFirewallIds',
  'shutdownBeforeDeletion',
  'publicNets',
];

function flag(): Field {
  return { kind: 'flag', fallback: false };
}

/** Returns the user data as in the official provider's state: base64 of its SHA-1. */
export function userDataHash(userData: string): string {
  return createHash('sha1').update(userData).digest('base64');
}

function sameUserData(recorded: unknown, wanted: unknown): boolean {
  const before = String(recorded ?? '').trim();
  const after = wanted === undefined || wanted === null || wanted === '' ? '' : userDataHash(String(wanted));
  return before === after || (before !== '' && userDataHash(before) === after);
}

function sameFirewalls(recorded: unknown, wanted: unknown): boolean {
  return firewallIds(recorded).join() === firewallIds(wanted).join();
}

function firewallIds(value: unknown): number[] {
  const ids = Array.isArray(value) ? value.map(Number) : [];
  return ids.sort((a, b) => a - b);
}

function samePublicNets(recorded: unknown, wanted: unknown): boolean {
  return publicNet(recorded).join() === publicNet(wanted).join();
}

/** Returns [ipv4 on, its primary IP, ipv6 on, its primary IP]. Without a block, both are on. */
function publicNet(value: unknown): unknown[] {
  const net: Properties = Array.isArray(value) && isRecord(value[0]) ? value[0] : {};
  return [net.ipv4Enabled ?? true, net.ipv4 ?? 0, net.ipv6Enabled ?? true, net.ipv6 ?? 0];
}

/** Returns the outputs of a server: the API's properties, and those that only the program knows. */
export function serverState(server: unknown, inputs: Properties, before: Properties = {}): Properties {
  if (!isRecord(server)) throw new Error('hcloud: the answer holds no server');
  const state: Properties = { ...liveState(server, inputs.image ?? before.image) };
  for (const name of UNREADABLE_INPUTS) state[name] = inputs[name] ?? undefined;
  const flags = Object.entries(serverFields).filter(([, field]) => field.kind === 'flag');
  for (const [name] of flags) state[name] ??= false;
  state.userData = storedUserData(inputs.userData, before.userData);
  return state;
}

function storedUserData(wanted: unknown, recorded: unknown): unknown {
  if (typeof wanted !== 'string' || wanted === '') return recorded;
  // At a read, the inputs of a state written by the official provider may hold the hash itself.
  return wanted === recorded ? recorded : userDataHash(wanted);
}

function liveState(server: Properties, wantedImage: unknown): Properties {
  const net = record(server.public_net);
  const ipv6 = typeof record(net.ipv6).ip === 'string' ? String(record(net.ipv6).ip) : '';
  return {
    id: String(server.id),
    name: server.name,
    serverType: record(server.server_type).name,
    image: imageName(server.image, wantedImage),
    location: record(server.location).name ?? record(record(server.datacenter).location).name,
    datacenter: record(server.datacenter).name ?? '',
    status: server.status,
    ipv4Address: record(net.ipv4).ip ?? '',
    ipv6Address: ipv6 === '' ? '' : `${ipv6.replace(/\/\d+$/, '')}1`,
    ipv6Network: ipv6,
    backupWindow: server.backup_window ?? '',
    backups: Boolean(server.backup_window),
    labels: server.labels ?? {},
    firewallIds: Array.isArray(net.firewalls) ? net.firewalls.map((entry) => record(entry).id) : [],
    deleteProtection: record(server.protection).delete === true,
    rebuildProtection: record(server.protection).rebuild === true,
    primaryDiskSize: server.primary_disk_size,
    ...(isRecord(server.placement_group) && { placementGroupId: server.placement_group.id }),
  };
}

/** Returns the name of a system image, unless the program used its id; other images have only an id. */
function imageName(image: unknown, wanted: unknown): unknown {
  if (!isRecord(image)) return wanted;
  const id = String(image.id);
  return image.name && String(wanted) !== id ? image.name : id;
}

function record(value: unknown): Properties {
  return isRecord(value) ? value : {};
}

/** Returns the inputs that would produce this server; in a refresh, the program's own inputs, updated. */
export function serverInputs(state: Properties, inputs: Properties): Properties {
  const live: Properties = { ...inputs };
  const imported = Object.keys(inputs).length === 0;
  for (const name of ['name', 'serverType', 'image', 'location', 'labels', 'backups', 'firewallIds']) {
    if (imported || inputs[name] !== undefined) live[name] = state[name];
  }
  if (inputs.firewallIds !== undefined && sameFirewalls(state.firewallIds, inputs.firewallIds)) {
    live.firewallIds = inputs.firewallIds;
  }
  for (const name of ['deleteProtection', 'rebuildProtection', 'placementGroupId']) {
    if (state[name] || inputs[name] !== undefined) live[name] = state[name];
  }
  return live;
}
