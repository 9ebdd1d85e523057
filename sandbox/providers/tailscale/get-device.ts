import { toMessage } from '../failures.ts';
import type { Invoke } from '../resource.ts';
import { isRecord, type Properties } from '../values.ts';
import { parseGoDuration, pause } from '../waiting.ts';
import type { TailscaleClient } from './client.ts';

const pollMs = 100;

/** tailscale.getDevice: finds a device by its full name or its hostname, and waits up to `waitFor` for it. */
export const getDevice: Invoke<TailscaleClient> = async (client, args, { signal }) => {
  const matches = matcher(args);
  const deadline = Date.now() + waitMilliseconds(args.waitFor);
  for (;;) {
    try {
      return { ...(await findDevice(client, matches, signal)), waitFor: args.waitFor };
    } catch (error) {
      // Like in the official provider, a wait continues after any failure, and reports the last.
      if (signal.aborted || Date.now() + pollMs > deadline) throw error;
    }
    await pause(pollMs, signal);
  }
};

interface Matcher {
  property: 'name' | 'hostname';
  value: string;
}

function matcher({ name, hostname }: Properties): Matcher {
  if ((name === undefined) === (hostname === undefined)) {
    throw new Error('tailscale: exactly one of "name" and "hostname" has to be given');
  }
  return name === undefined
    ? { property: 'hostname', value: String(hostname) }
    : { property: 'name', value: String(name) };
}

function waitMilliseconds(waitFor: unknown): number {
  if (waitFor === undefined) return 0;
  const milliseconds = parseGoDuration(String(waitFor));
  if (milliseconds === undefined) throw new Error('failed to parse wait_for: not a duration');
  if (milliseconds <= 1000)
    throw new Error('failed to parse wait_for: wait_for must be greater than 1 second');
  return milliseconds;
}

async function findDevice(
  client: TailscaleClient,
  { property, value }: Matcher,
  signal: AbortSignal,
): Promise<Properties> {
  let answer: Properties;
  try {
    answer = await client.request('GET', `${client.tailnetPath}/devices`, undefined, signal);
  } catch (error) {
    throw new Error(`Failed to fetch devices: ${toMessage(error)}`, { cause: error });
  }
  const devices = Array.isArray(answer.devices) ? answer.devices.filter(isRecord) : [];
  const device = devices.find((candidate) => candidate[property] === value);
  if (!device) throw new Error(`Could not find device with ${property}=${JSON.stringify(value)}`);
  return outputs(device);
}

function outputs(device: Properties): Properties {
  const text = (name: string): unknown => device[name] ?? '';
  return {
    id: text('id'),
    nodeId: text('nodeId'),
    name: text('name'),
    hostname: text('hostname'),
    addresses: device.addresses ?? [],
    tags: device.tags ?? [],
    user: text('user'),
    authorized: device.authorized === true,
    blocksIncomingConnections: device.blocksIncomingConnections === true,
    clientVersion: text('clientVersion'),
    created: text('created'),
    expires: text('expires'),
    isExternal: device.isExternal === true,
    keyExpiryDisabled: device.keyExpiryDisabled === true,
    lastSeen: text('lastSeen'),
    machineKey: text('machineKey'),
    nodeKey: text('nodeKey'),
    os: text('os'),
    tailnetLockError: text('tailnetLockError'),
    tailnetLockKey: text('tailnetLockKey'),
    updateAvailable: device.updateAvailable === true,
  };
}
