import { Command } from '@pulumi/command/local/command.js';
import { Provider } from '@pulumi/hcloud/provider.js';
import { Server } from '@pulumi/hcloud/server.js';
import { SshKey } from '@pulumi/hcloud/sshKey.js';
import * as pulumi from '@pulumi/pulumi';
import { getDeviceOutput } from '@pulumi/tailscale/getDevice.js';
import { TailnetKey } from '@pulumi/tailscale/tailnetKey.js';
import { type Disk, hostnameToJoin, newDisk, restoredDisk } from './disk.ts';
import {
  type AgentInputs,
  type AgentSecrets,
  agentName,
  type FoundResources,
  type KnownDevice,
  toServerName,
} from './inputs.ts';
import { toLabels } from './labels.ts';
import type { StackOutputs } from './outputs.ts';
import { configurationInputs, tailnetKeyInputs } from './resource-inputs.ts';
import { chooseAddress } from './tailnet.ts';

/** The outputs as promises, while the program runs and their values are unknown. */
type PendingOutputs = { [Name in keyof StackOutputs]: pulumi.Output<NonNullable<StackOutputs[Name]>> };

/**
 * Declares an agent: a server of its own that joins the tailnet and is configured over it. While the agent is
 * hibernated it declares only the keys, and has no outputs.
 */
export function agentStack(
  inputs: AgentInputs,
  secrets: AgentSecrets,
  { found = {}, device: knownDevice, restoredFrom, record, tellUserData }: AgentStackOptions = {},
): Partial<PendingOutputs> {
  // A used key stays declared while the agent is hibernated: the device that it let in is still its device.
  const tailnetKey = singleUseKey(inputs);
  const hetzner = hetznerOptions(inputs);
  const sshKey = administrationKey(inputs, { found, record }, hetzner);
  if (inputs.hibernated !== undefined) return {};
  const disk =
    restoredFrom === undefined
      ? newDisk(inputs, secrets, tailnetKey)
      : restoredDisk(inputs, restoredFrom, knownDevice === undefined ? tailnetKey : undefined);
  const server = agentServer(inputs, { ...disk, sshKey }, found, hetzner);
  if (tellUserData !== undefined) disk.userData.apply(tellUserData);
  const device = knownDevice === undefined ? joinedDevice(inputs, server) : known(knownDevice);
  configuration(inputs, server, device.tailnetIp);
  return {
    serverId: server.id,
    serverName: server.name,
    ipv4: server.ipv4Address,
    ipv6: server.ipv6Address,
    ...device,
  };
}

export interface AgentStackOptions {
  found?: FoundResources | undefined;
  /** The recorded device. If unset, the device is looked up by the inputs' `joinName`. */
  device?: KnownDevice | undefined;
  /** The id of the snapshot that a new server's disk is made from; default: the inputs' image. */
  restoredFrom?: string | undefined;
  /** What has to survive of the agent, sealed: labels of its SSH key, which the service keeps up to date. */
  record?: Record<string, string> | undefined;
  /** Receives the server's user data. */
  tellUserData?: ((userData: string) => void) | undefined;
}

/**
 * Declares an explicit provider if a poll interval is set, because the default provider polls too often for
 * the API quota. Its token comes from the environment.
 */
function hetznerOptions({ pollInterval }: AgentInputs): pulumi.CustomResourceOptions {
  return pollInterval === undefined ? {} : { provider: new Provider('hcloud', { pollInterval }) };
}

/** Limits resources that take a single API call. The providers' defaults are twenty minutes or no limit. */
const ONE_CALL = { create: '3m', update: '3m', delete: '3m' };

function singleUseKey(inputs: AgentInputs): TailnetKey {
  return new TailnetKey('tailnet-key', tailnetKeyInputs(inputs), { customTimeouts: ONE_CALL });
}

function administrationKey(
  inputs: AgentInputs,
  { found, record = {} }: { found: FoundResources; record: AgentStackOptions['record'] },
  hetzner: pulumi.CustomResourceOptions,
): SshKey {
  return new SshKey(
    'ssh-key',
    {
      name: toServerName(inputs),
      publicKey: inputs.sshPublicKey,
      labels: { ...record, ...toLabels(inputs) },
    },
    {
      ...hetzner,
      // The key under this name is the agent's for its whole life. Whoever has put it there again may have
      // given it a comment, which the official provider takes for another key.
      ignoreChanges: ['labels', 'publicKey'],
      customTimeouts: ONE_CALL,
      ...(found.sshKeyId === undefined ? {} : { import: found.sshKeyId }),
    },
  );
}

/**
 * User data, keys and image matter only at creation; a change must not replace a customer's server. The
 * service restores its own labels and keeps foreign ones. People enable backups and protection, and put
 * servers into placement groups: a refresh records it, and an update must not undo it.
 */
const IGNORED_OF_SERVER = [
  'userData',
  'sshKeys',
  'image',
  'labels',
  'backups',
  'deleteProtection',
  'rebuildProtection',
  'placementGroupId',
];

function agentServer(
  inputs: AgentInputs,
  { image, userData, createTimeout, sshKey }: Disk & { sshKey: SshKey },
  found: FoundResources,
  hetzner: pulumi.CustomResourceOptions,
): Server {
  return new Server(
    'server',
    {
      // Recorded before the server is created, never replaced by another, and unique in a project: Hetzner
      // rejects a second server for this agent.
      name: toServerName(inputs),
      serverType: inputs.serverType,
      image,
      ...(inputs.keepDisk === undefined ? {} : { keepDisk: inputs.keepDisk }),
      location: inputs.location,
      sshKeys: [sshKey.id],
      firewallIds: [inputs.firewallId],
      labels: toLabels(inputs),
      userData: pulumi.secret(userData),
    },
    {
      ...hetzner,
      ignoreChanges: IGNORED_OF_SERVER,
      customTimeouts: { create: createTimeout, update: '10m', delete: '10m' },
      ...(found.serverId === undefined ? {} : { import: found.serverId }),
    },
  );
}

type Device = Pick<PendingOutputs, 'tailnetIp' | 'tailnetName'>;

const known = ({ tailnetIp, tailnetName }: KnownDevice): Device => ({
  tailnetIp: pulumi.output(tailnetIp),
  tailnetName: pulumi.output(tailnetName),
});

/**
 * Waits for the device to join, and returns its address and its future name. The device will be renamed after
 * the agent; until then its name follows the hostname, which the machine can change.
 */
function joinedDevice(inputs: AgentInputs, server: Server): Device {
  const device = getDeviceOutput(
    { hostname: hostnameToJoin(inputs), waitFor: `${inputs.joinTimeoutSeconds}s` },
    { dependsOn: [server] },
  );
  return {
    tailnetIp: device.addresses.apply((addresses) => chooseAddress(addresses) ?? ''),
    tailnetName: device.apply(({ name }) =>
      [agentName(inputs.agentId), ...(name ?? '').split('.').slice(1)].join('.'),
    ),
  };
}

function configuration(inputs: AgentInputs, server: Server, tailnetIp: pulumi.Output<string>): Command {
  return new Command('configuration', configurationInputs(inputs, { serverId: server.id, tailnetIp }), {
    customTimeouts: { create: '20m', update: '20m' },
  });
}
