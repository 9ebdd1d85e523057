import { isRecord, type Properties } from '../values.ts';
import type { HcloudClient } from './client.ts';

/** Resolves the names in a new server's inputs, and builds the body of `POST /servers`. */
export async function orderServer(
  client: HcloudClient,
  inputs: Properties,
  signal: AbortSignal,
): Promise<Properties> {
  const serverType = await findServerType(client, String(inputs.serverType), signal);
  const image = await findImage(client, inputs, String(serverType.architecture), signal);
  const sshKeys: unknown[] = [];
  for (const key of Array.isArray(inputs.sshKeys) ? inputs.sshKeys : []) {
    const found = await findByIdOrName(client, '/ssh_keys', 'ssh_key', String(key), '', signal);
    if (!found) throw new Error(`SSH key not found: ${key}`);
    sshKeys.push(found.id);
  }
  return {
    name: inputs.name,
    server_type: serverType.name,
    image: image.id,
    ...(inputs.userData ? { user_data: inputs.userData } : {}),
    ...(sshKeys.length > 0 ? { ssh_keys: sshKeys } : {}),
    ...(inputs.location ? { location: inputs.location } : {}),
    ...(inputs.datacenter ? { datacenter: inputs.datacenter } : {}),
    ...(isRecord(inputs.labels) ? { labels: inputs.labels } : {}),
    ...(Array.isArray(inputs.firewallIds) && inputs.firewallIds.length > 0
      ? { firewalls: inputs.firewallIds.map((id) => ({ firewall: Number(id) })) }
      : {}),
    ...publicNetBody(inputs.publicNets),
  };
}

function publicNetBody(value: unknown): Properties {
  const net = Array.isArray(value) ? value[0] : undefined;
  if (!isRecord(net)) return {};
  return {
    public_net: {
      enable_ipv4: Boolean(net.ipv4) || net.ipv4Enabled !== false,
      enable_ipv6: Boolean(net.ipv6) || net.ipv6Enabled !== false,
      ...(net.ipv4 ? { ipv4: Number(net.ipv4) } : {}),
      ...(net.ipv6 ? { ipv6: Number(net.ipv6) } : {}),
    },
  };
}

async function findServerType(
  client: HcloudClient,
  nameOrId: string,
  signal: AbortSignal,
): Promise<Properties> {
  const found = await findByIdOrName(client, '/server_types', 'server_type', nameOrId, '', signal);
  if (!found) throw new Error(`server type ${nameOrId} not found`);
  const deprecation = isRecord(found.deprecation) ? found.deprecation : undefined;
  if (deprecation && Date.parse(String(deprecation.unavailable_after)) < Date.now()) {
    throw new Error(
      `Attention: The server plan "${found.name}" is deprecated and can no longer be ordered. Existing servers ` +
        'of that plan will continue to work as before and no action is required on your part.',
    );
  }
  return found;
}

async function findImage(
  client: HcloudClient,
  inputs: Properties,
  architecture: string,
  signal: AbortSignal,
): Promise<Properties> {
  const nameOrId = String(inputs.image ?? '');
  const filter = `&architecture=${encodeURIComponent(architecture)}&include_deprecated=true`;
  const image = nameOrId && (await findByIdOrName(client, '/images', 'image', nameOrId, filter, signal));
  if (!image) throw new Error(`image ${nameOrId} for architecture ${architecture} not found`);
  if (image.deprecated && inputs.allowDeprecatedImages !== true) {
    throw new Error(
      `image ${image.name} is deprecated (${image.deprecated}). If you want to use it, specify the ` +
        'allow_deprecated_images option.',
    );
  }
  return image;
}

/** Tries a number as an id first, then as a name, like hcloud-go. */
async function findByIdOrName(
  client: HcloudClient,
  path: string,
  kind: string,
  nameOrId: string,
  filter: string,
  signal: AbortSignal,
): Promise<Properties | undefined> {
  if (/^\d+$/.test(nameOrId)) {
    const answer = await client.find(`${path}/${nameOrId}`, signal);
    if (isRecord(answer?.[kind])) return answer[kind];
  }
  const answer = await client.request(
    'GET',
    `${path}?name=${encodeURIComponent(nameOrId)}${filter}`,
    undefined,
    signal,
  );
  const found = answer[`${kind}s`];
  return Array.isArray(found) ? found.filter(isRecord)[0] : undefined;
}
