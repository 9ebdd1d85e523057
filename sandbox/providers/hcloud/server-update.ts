import { changedNames, compareFields } from '../fields.ts';
import type { DiffInput } from '../resource.ts';
import { isRecord, type Properties } from '../values.ts';
import type { HcloudClient } from './client.ts';
import { serverFields } from './server-state.ts';

/** Changes an existing server to match its inputs, in the official provider's order. */
export async function changeServer(
  client: HcloudClient,
  id: string,
  change: DiffInput,
  signal: AbortSignal,
): Promise<void> {
  const changed = changedNames(compareFields(serverFields, change));
  if (changed.has('publicNets')) {
    throw new Error('changing "publicNets" is not supported by the builtin hcloud provider');
  }
  const { inputs } = change;
  const { server } = await client.request('GET', `/servers/${id}`, undefined, signal);
  const body: Properties = {};
  if (changed.has('name')) body.name = inputs.name;
  if (changed.has('labels')) body.labels = inputs.labels ?? {};
  if (Object.keys(body).length > 0) await client.request('PUT', `/servers/${id}`, body, signal);
  if (changed.has('serverType')) await changeType(client, id, server, inputs, signal);
  if (changed.has('backups')) await setBackups(client, id, server, inputs.backups === true, signal);
  if (changed.has('firewallIds')) await setFirewalls(client, id, server, inputs.firewallIds, signal);
  if (changed.has('deleteProtection') || changed.has('rebuildProtection')) {
    await setProtection(client, id, inputs, signal);
  }
}

async function changeType(
  client: HcloudClient,
  id: string,
  server: unknown,
  inputs: Properties,
  signal: AbortSignal,
): Promise<void> {
  const wasRunning = isRecord(server) && server.status === 'running';
  if (wasRunning) await act(client, `/servers/${id}/actions/poweroff`, undefined, signal);
  const body = { server_type: inputs.serverType, upgrade_disk: inputs.keepDisk !== true };
  await act(client, `/servers/${id}/actions/change_type`, body, signal);
  const answer = await client.request('GET', `/servers/${id}`, undefined, signal);
  const isOff = isRecord(answer.server) && answer.server.status === 'off';
  if (wasRunning && isOff) await act(client, `/servers/${id}/actions/poweron`, undefined, signal);
}

export async function setBackups(
  client: HcloudClient,
  id: string,
  server: unknown,
  wanted: boolean,
  signal: AbortSignal,
): Promise<void> {
  const enabled = isRecord(server) && Boolean(server.backup_window);
  if (enabled === wanted) return;
  await act(client, `/servers/${id}/actions/${wanted ? 'enable' : 'disable'}_backup`, undefined, signal);
}

export async function setProtection(
  client: HcloudClient,
  id: string,
  inputs: Properties,
  signal: AbortSignal,
): Promise<void> {
  const body = { delete: inputs.deleteProtection === true, rebuild: inputs.rebuildProtection === true };
  await act(client, `/servers/${id}/actions/change_protection`, body, signal);
}

async function setFirewalls(
  client: HcloudClient,
  id: string,
  server: unknown,
  wanted: unknown,
  signal: AbortSignal,
): Promise<void> {
  const net = isRecord(server) && isRecord(server.public_net) ? server.public_net : {};
  const before = (Array.isArray(net.firewalls) ? net.firewalls : []).map((entry) => Number(entry.id));
  const after = (Array.isArray(wanted) ? wanted : []).map(Number);
  const target = [{ type: 'server', server: { id: Number(id) } }];
  for (const firewall of before.filter((known) => !after.includes(known))) {
    await act(
      client,
      `/firewalls/${firewall}/actions/remove_from_resources`,
      { remove_from: target },
      signal,
    );
  }
  for (const firewall of after.filter((known) => !before.includes(known))) {
    await act(client, `/firewalls/${firewall}/actions/apply_to_resources`, { apply_to: target }, signal);
  }
}

async function act(
  client: HcloudClient,
  path: string,
  body: Properties | undefined,
  signal: AbortSignal,
): Promise<void> {
  const answer = await client.request('POST', path, body, signal);
  await client.wait(Array.isArray(answer.actions) ? answer.actions : [answer.action], signal);
}
