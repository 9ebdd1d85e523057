import type { CloudSnapshot } from './clouds.ts';
import { keptAs } from './kept-snapshots.ts';
import type { AgentRecord, Snapshot } from './snapshot.ts';
import { type Violation, violated } from './violation.ts';

/** The name of an agent's stack and device; those of a slot have its own id. */
export const agentName = (agentId: string) => (agentId.startsWith('slot-') ? agentId : `agent-${agentId}`);

/** Whether a server can be made from it, as the service judges it too. */
export const isComplete = ({ status, image_size: size }: CloudSnapshot): boolean =>
  status === 'available' && size !== null && size > 0;

/** Checks that an agent at rest has in the clouds what its status says, and nothing else. */
export function checkAgent(
  snapshot: Snapshot,
  agent: AgentRecord,
  serverDeleted: ReadonlySet<string>,
): Violation[] {
  const found = belongings(snapshot, agent.agent_id);
  switch (agent.status) {
    case 'running':
      return violated(
        'a running agent has exactly one of everything',
        faultsOfPresent(agent, found, {
          power: 'running',
          byHand: serverDeleted.has(agent.agent_id),
        }),
      );
    case 'suspended':
      return violated(
        'a suspended agent has everything, switched off',
        faultsOfPresent(agent, found, { power: 'off' }),
      );
    case 'hibernated':
      return violated('a hibernated agent has a snapshot and no server', faultsOfHibernated(agent, found));
    case 'failed':
      return violated('a failed agent has nothing billed and says why', [
        ...found.billed,
        ...(agent.error ? [] : [`${agent.agent_id} gives no reason`]),
      ]);
    case 'destroyed':
      return violated('a destroyed agent has nothing anywhere', [...found.billed, ...found.state]);
    default:
      return [];
  }
}

type Belongings = ReturnType<typeof belongings>;

/** Everything of one agent in the clouds and in Pulumi's table. */
export function belongings(
  { clouds, state, joinNames, serverNames, agents, kept }: Snapshot,
  agentId: string,
) {
  const name = agentName(agentId);
  const own = serverNames.filter((row) => row.agent_id === agentId).map((row) => row.name);
  const names = new Set([name, ...own]);
  const servers = clouds.servers.filter((one) => serverOwner(one) === agentId || names.has(one.name));
  const sshKeys = clouds.sshKeys.filter((key) => names.has(key.name) || key.labels['agent-id'] === agentId);
  const hostnames = new Set(joinNames.filter((row) => row.agent_id === agentId).map((row) => row.name));
  const devices = clouds.devices.filter(
    (device) => device.name.split('.')[0] === name || hostnames.has(device.hostname),
  );
  const keys = clouds.keys.filter((key) => names.has(key.description.replace(/ \d+$/, '')));
  const inPlace = agents.find((row) => row.agent_id === agentId)?.snapshot_id;
  const last = kept.filter(({ why }) => why === 'before-destroy').map(({ hetzner_id: id }) => id);
  const all = clouds.snapshots.filter(
    (one) => one.labels['agent-id'] === agentId || names.has(one.description),
  );
  // What is kept beside a server counts only in its place.
  const snapshots = all.filter((one) => keptAs(one) === undefined || String(one.id) === inPlace);
  const statePattern = new RegExp(`/${name}(/|\\.|$)`);
  return {
    servers,
    sshKeys,
    devices,
    keys,
    snapshots,
    billed: [
      ...servers.map((server) => `server ${server.name} (${server.id})`),
      ...all
        .filter(({ id }) => !last.includes(String(id)))
        .map((one) => `snapshot ${one.description} (${one.id})`),
      ...sshKeys.map((key) => `SSH key ${key.name}`),
      ...devices.map((device) => `device ${device.name}`),
      ...keys.map((key) => `tailnet key ${key.description}`),
    ],
    state: state.filter(({ key }) => statePattern.test(key)).map(({ key }) => `state row ${key}`),
  };
}

/** `byHand`: its server was deleted by hand, so that it may have none. */
function faultsOfPresent(
  agent: AgentRecord,
  found: Belongings,
  { power, byHand = false }: { power: 'running' | 'off'; byHand?: boolean },
): string[] {
  const id = agent.agent_id;
  const [server] = found.servers;
  const faults = [
    ...miscounted(id, 'servers', found.servers, byHand ? 0 : 1, 1),
    ...miscounted(id, 'devices', found.devices, byHand ? 0 : 1, 1),
    ...miscounted(id, 'snapshots', found.snapshots, 0),
    ...faultsOfKeysAndDevice(agent, found),
  ];
  if (server !== undefined && String(server.id) !== agent.server_id)
    faults.push(`${id} says server ${agent.server_id}, Hetzner has ${server.id}`);
  // A server that was just deleted by hand may still be shutting down.
  const going = byHand && server?.status === 'deleting';
  if (server !== undefined && server.status !== power && !going)
    faults.push(`server of ${id} is ${server.status}`);
  const [device] = found.devices;
  if (device !== undefined && agent.tailnet_ip !== null && !device.addresses.includes(agent.tailnet_ip))
    faults.push(`${id} says ${agent.tailnet_ip}, its device has ${device.addresses.join(', ')}`);
  return faults;
}

function faultsOfHibernated(agent: AgentRecord, found: Belongings): string[] {
  const id = agent.agent_id;
  const [snapshot] = found.snapshots;
  const faults = [
    ...miscounted(id, 'servers', found.servers, 0),
    ...miscounted(id, 'devices', found.devices, 1),
    ...miscounted(id, 'snapshots', found.snapshots, 1),
    ...faultsOfKeysAndDevice(agent, found),
  ];
  if (snapshot === undefined) return faults;
  if (String(snapshot.id) !== agent.snapshot_id)
    faults.push(`${id} says snapshot ${agent.snapshot_id}, Hetzner has ${snapshot.id}`);
  if (!isComplete(snapshot)) faults.push(`snapshot ${snapshot.id} of ${id} is ${snapshot.status}`);
  return faults;
}

function miscounted(
  agentId: string,
  what: string,
  { length }: readonly unknown[],
  least: number,
  most = least,
): string[] {
  return length < least || length > most ? [`${agentId} has ${length} ${what}`] : [];
}

/** What every agent that was ever running keeps until it is destroyed. */
function faultsOfKeysAndDevice(agent: AgentRecord, found: Belongings): string[] {
  const id = agent.agent_id;
  const [device] = found.devices;
  const faults = miscounted(id, 'SSH keys', found.sshKeys, 1);
  // The key it joined with is used up and no longer listed; any other could still let a machine in.
  if (found.keys.length > 0)
    faults.push(`${id} has ${found.keys.length} tailnet keys that can still be used`);
  if (device !== undefined && agent.tailnet_node_id !== device.nodeId)
    faults.push(`${id} says device ${agent.tailnet_node_id}, its device is ${device.nodeId}`);
  if (!found.state.some((row) => row.includes('/stacks/'))) faults.push(`${id} has no stack`);
  return faults;
}

export function serverOwner(server: { name: string; labels: Record<string, string> }): string {
  return server.labels['agent-id'] ?? server.name.replace(/^agent-/, '');
}
