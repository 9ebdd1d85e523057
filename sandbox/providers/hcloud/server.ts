import { InitializationFailed } from '../failures.ts';
import { addName, diffNamed } from '../fields.ts';
import type { CheckFailure, Resource } from '../resource.ts';
import { hasUnknown, isRecord, type Properties, UNKNOWN_VALUE } from '../values.ts';
import { pause } from '../waiting.ts';
import { type HcloudClient, named } from './client.ts';
import { orderServer } from './server-order.ts';
import { serverFields, serverInputs, serverState, userDataHash } from './server-state.ts';
import { changeServer, setBackups, setProtection } from './server-update.ts';

/** Inputs that the SDK has and our stacks do not use: rejected instead of half implemented. */
const unsupported = ['networks', 'iso', 'rescue', 'placementGroupId'];
const COMPUTED_OUTPUTS = [
  'image',
  'location',
  'datacenter',
  'firewallIds',
  'status',
  'ipv4Address',
  'ipv6Address',
  'ipv6Network',
  'backupWindow',
  'primaryDiskSize',
];

/** hcloud.Server, with the semantics of terraform-provider-hcloud's hcloud_server. */
export const server: Resource<HcloudClient> = {
  check: (inputs, old, context) => ({ added: addName(inputs, old, context), failures: checkServer(inputs) }),
  diff: (input) => diffNamed(serverFields, input),
  preview(inputs, state) {
    const unknown = Object.fromEntries(COMPUTED_OUTPUTS.map((name) => [name, UNKNOWN_VALUE]));
    const { userData } = inputs;
    const isKnown = typeof userData === 'string' && !hasUnknown(userData);
    return { ...unknown, ...state, ...inputs, ...(isKnown ? { userData: userDataHash(userData) } : {}) };
  },
  create: (client, inputs, { signal }) => named('createServer', () => createServer(client, inputs, signal)),
  async read(client, id, { state, inputs }, { signal }) {
    const found = await named('readServer', () => client.find(`/servers/${id}`, signal));
    if (!found) return undefined;
    // The API does not return user data: the recorded hash stays.
    const read = serverState(found.server, { ...state, ...inputs, userData: undefined }, state);
    return { id, state: read, inputs: serverInputs(read, inputs) };
  },
  update: (client, id, change, { signal }) =>
    named('updateServer', async () => {
      await changeServer(client, id, change, signal);
      const answer = await client.request('GET', `/servers/${id}`, undefined, signal);
      return serverState(answer.server, change.inputs, change.state);
    }),
  delete: (client, id, state, { signal }) =>
    named('deleteServer', () => deleteServer(client, id, state, signal)),
  defaultTimeoutSeconds: { create: 5400, read: 1200, update: 1200, delete: 1200 },
};

function checkServer(inputs: Properties): CheckFailure[] {
  const failures: CheckFailure[] = unsupported
    .filter((name) => inputs[name] !== undefined)
    .map((property) => ({
      property,
      reason: `"${property}" is not supported by the builtin hcloud provider; use the official one (PROVIDERS=official)`,
    }));
  if (inputs.serverType === undefined) {
    failures.push({ property: 'serverType', reason: 'Missing required argument' });
  }
  if (inputs.image === '') {
    const reason = '"image" must have more than 0 characters. Have you set the name instead of an ID?';
    failures.push({ property: 'image', reason });
  }
  return failures;
}

async function createServer(
  client: HcloudClient,
  inputs: Properties,
  signal: AbortSignal,
): Promise<{ id: string; state: Properties }> {
  const order = await orderServer(client, inputs, signal);
  const answer = await client.request('POST', '/servers', order, signal);
  // From here on, a billed server exists: the engine must learn its id even if a later step fails.
  const created = answer.server;
  const id = String(isRecord(created) ? created.id : '');
  try {
    await client.wait([answer.action, ...list(answer.next_actions)], signal);
    await setBackups(client, id, created, inputs.backups === true, signal);
    if (inputs.deleteProtection === true || inputs.rebuildProtection === true) {
      await setProtection(client, id, inputs, signal);
    }
    const read = await client.request('GET', `/servers/${id}`, undefined, signal);
    return { id, state: serverState(read.server, inputs) };
  } catch (error) {
    throw new InitializationFailed(id, serverState(created, inputs), error);
  }
}

async function deleteServer(
  client: HcloudClient,
  id: string,
  state: Properties,
  signal: AbortSignal,
): Promise<void> {
  if (state.shutdownBeforeDeletion === true) {
    const answer = await client.request('POST', `/servers/${id}/actions/shutdown`, undefined, signal);
    await client.wait([answer.action], signal);
    await waitUntilOff(client, id, signal);
  }
  // A missing server is an error here, as in the official provider: refresh first.
  const answer = await client.request('DELETE', `/servers/${id}`, undefined, signal);
  await client.wait([answer.action], signal);
}

/** Gives the server half a minute to shut down; after that it is deleted while running. */
async function waitUntilOff(client: HcloudClient, id: string, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (let interval = 200; Date.now() < deadline; interval = Math.min(2000, interval * 1.5)) {
    const answer = await client.request('GET', `/servers/${id}`, undefined, signal);
    if (isRecord(answer.server) && answer.server.status === 'off') return;
    await pause(interval, signal);
  }
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
