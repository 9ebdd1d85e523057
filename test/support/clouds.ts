import type { SandboxFile } from '../../sandbox/host/sandbox-file.ts';
import { query } from './database-query.ts';

/**
 * One agent's resources in the clouds, by name and labels, read over the APIs as any third party would. What
 * has the name that its row keeps for its server is listed as `agent-<id>`.
 */
export interface Holdings {
  servers: string[];
  sshKeys: string[];
  tailnetKeys: string[];
  devices: string[];
}

export async function getHoldings(connection: SandboxFile, agentId: string): Promise<Holdings> {
  const name = `agent-${agentId}`;
  const hetzner = (path: string) =>
    get(`${connection.hcloudEndpoint}${path}?label_selector=agent-id==${agentId}`, connection.hcloudToken);
  const tailnet = (path: string) =>
    get(`${connection.tailscaleBaseUrl}/api/v2/tailnet/-/${path}`, connection.tailscaleApiKey);
  const [joinNames, serverNames, servers, sshKeys, keys, devices] = await Promise.all([
    getNames(connection, 'select name from tailnet_join_names where agent_id = $1', agentId),
    getNames(connection, 'select name from server_names where owner_id = $1', agentId),
    hetzner('/servers'),
    hetzner('/ssh_keys'),
    tailnet('keys?all=true'),
    tailnet('devices'),
  ]);
  const names = (rows: Named[], field: keyof Named) =>
    rows.map((row) => {
      const [, carried = '', generation = ''] = /^(\S*)( \d+)?$/.exec(String(row[field])) ?? [];
      return serverNames.includes(carried) ? `${name}${generation}` : String(row[field]);
    });
  return {
    servers: names(servers.servers ?? [], 'name'),
    sshKeys: names(sshKeys.ssh_keys ?? [], 'name'),
    tailnetKeys: names(keys.keys ?? [], 'description').filter((text) => text.replace(/ \d+$/, '') === name),
    devices: (devices.devices ?? [])
      .filter((device) => toLabel(device) === name || joinNames.includes(String(device.hostname)))
      .map(toLabel),
  };
}

const toLabel = ({ name }: Named) => String(name).split('.')[0]!;

/**
 * The names of its servers, and the hostnames under which they were meant to join: until it is verified, a
 * device has no other name.
 */
async function getNames(connection: SandboxFile, sql: string, agentId: string): Promise<string[]> {
  return (await query(connection.databaseUrl, sql, [agentId])).map(({ name }) => name);
}

/** Makes the next calls fail or be answered differently, as described in sandbox/fault-order.ts. */
export async function orderFault(connection: SandboxFile, order: Record<string, unknown>): Promise<void> {
  const response = await fetch(`${connection.stripeApiUrl}/sandbox/faults`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(order),
  });
  if (response.status !== 201) throw new Error(await response.text());
}

/** Makes Hetzner answer orders of a server with each of these statuses in turn, so many `times` each. */
export async function failOrders(
  connection: SandboxFile,
  statuses: readonly { status: number; times: number }[],
): Promise<void> {
  for (const { status, times } of statuses)
    await orderFault(connection, {
      area: 'hetzner',
      method: 'POST',
      path: '/servers',
      times,
      effect: { kind: 'status', status },
    });
}

export async function clearFaults(connection: SandboxFile): Promise<void> {
  await fetch(`${connection.stripeApiUrl}/sandbox/faults`, { method: 'DELETE' });
}

interface Named {
  name?: string;
  hostname?: string;
  description?: string;
}

async function get(url: string, token: string): Promise<Record<string, Named[]>> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Record<string, Named[]>;
}
