import type pg from 'pg';
import { agentName, belongings, serverOwner } from './belongings.ts';
import type { Snapshot } from './snapshot.ts';
import { type Violation, violated } from './violation.ts';

export interface SlotRecord {
  slot_id: string;
  status: string;
  /** The agent that claimed it; null again where the claim failed. */
  agent_id: string | null;
  fingerprint: string;
  server_id: string | null;
  tailnet_ip: string | null;
  tailnet_node_id: string | null;
  error: string | null;
  /** In milliseconds since 1970. */
  claimed_at: number | null;
  isServed: boolean;
  /** The version of the playbook that its server was configured with. */
  release: string | null;
}

export async function readSlots(client: pg.ClientBase): Promise<SlotRecord[]> {
  const { rows } = await client.query<SlotRecord>(
    `select s.slot_id, s.status, s.agent_id, s.fingerprint, s.server_id, s.tailnet_ip, s.tailnet_node_id, s.error,
       (extract(epoch from s.claimed_at) * 1000)::float8 as claimed_at, s.served_at is not null as "isServed",
       s.inputs->>'configurationVersion' as release
     from slots s order by s.created_at`,
  );
  return rows;
}

/** Whose a server is by the rows: a label may still name the slot that an agent has claimed. */
export function ownerByRow(
  { slots }: Pick<Snapshot, 'slots'>,
  server: { name: string; labels: Record<string, string> },
): string {
  const label = serverOwner(server);
  return slots.find((slot) => slot.slot_id === label && slot.agent_id !== null)?.agent_id ?? label;
}

/** The slots that may have something in the clouds. */
const PRESENT = ['making', 'ready', 'claimed', 'removing'];
export const isPresent = ({ status }: SlotRecord): boolean => PRESENT.includes(status);

/** Checks what must hold of slots at any moment. */
export function checkSlotsAlways(snapshot: Snapshot): Violation[] {
  const { slots, agents } = snapshot;
  const holders = [
    ...agents.map(({ agent_id: id, server_id: server }) => ({ id, server })),
    // The row of a slot that was claimed names the server of its agent.
    ...slots
      .filter(({ agent_id: agent }) => agent === null)
      .map(({ slot_id: id, server_id: server }) => ({ id, server })),
  ].filter(({ server }) => server !== null);
  const byServer = Map.groupBy(holders, ({ server }) => server);
  const claims = Map.groupBy(
    slots.filter(({ agent_id: agent }) => agent !== null),
    ({ agent_id: agent }) => agent,
  );
  return [
    ...violated(
      'no slot has two owners',
      [...byServer]
        .filter(([, of]) => of.length > 1)
        .map(([server, of]) => `server ${server}: ${of.map(({ id }) => id).join(' and ')}`),
    ),
    ...violated(
      'no agent has two slots',
      [...claims]
        .filter(([, of]) => of.length > 1)
        .map(([agent, of]) => `${agent}: ${of.map(({ slot_id: id }) => id).join(' and ')}`),
    ),
  ];
}

/** Checks what must hold of slots at rest. */
export function checkSlotsAtRest(snapshot: Snapshot): Violation[] {
  const { slots, agents, operations, tenants } = snapshot;
  const unfinished = operations
    .filter(({ kind, status }) => kind === 'adopt' && (status === 'queued' || status === 'active'))
    .map(({ agent_id: agentId }) => agentId);
  // One that is off cannot be configured, and is adopted when it runs again.
  const off = agents.filter(({ status }) => status !== 'running').map(({ agent_id: agentId }) => agentId);
  const isDue = new Set([...unfinished, ...off]);
  return [
    ...violated(
      'a claimed slot is adopted in the end',
      slots
        .filter(({ status, agent_id: agent }) => status === 'claimed' && !isDue.has(agent ?? ''))
        .map(({ slot_id: id, agent_id: agent }) => `${id} of ${agent} is claimed with nothing under way`),
    ),
    ...violated(
      'a slot that waits has exactly one of everything',
      slots.filter(({ status }) => status === 'ready').flatMap((slot) => faultsOfReady(snapshot, slot)),
    ),
    ...violated(
      'nothing is left of a slot that is gone',
      slots
        .filter(({ status }) => status === 'adopted' || status === 'removed')
        .flatMap(({ slot_id: id }) => {
          const { billed, state } = belongings(snapshot, id);
          return [...billed, ...state].map((what) => `${id}: ${what}`);
        }),
    ),
    ...violated(
      'the server of a slot that was handed over says whose it is',
      slots
        .filter(({ isServed }) => isServed)
        .flatMap(({ agent_id: agentId }) => {
          const agent = agents.find((one) => one.agent_id === agentId && one.status === 'running');
          const said = tenants.get(agent?.tailnet_ip ?? '');
          return said === undefined || said === agentId ? [] : [`that of ${agentId} says ${said}`];
        }),
    ),
  ];
}

function faultsOfReady(snapshot: Snapshot, slot: SlotRecord): string[] {
  const { slot_id: id } = slot;
  const found = belongings(snapshot, id);
  const counted = (['servers', 'sshKeys', 'devices'] as const)
    .filter((what) => found[what].length !== 1)
    .map((what) => `${id} has ${found[what].length} ${what}`);
  const [server] = found.servers;
  return [
    ...counted,
    ...(server !== undefined && String(server.id) !== slot.server_id
      ? [`${id} says server ${slot.server_id}, Hetzner has ${server.id}`]
      : []),
    ...(found.keys.length > 0 ? [`${id} has ${found.keys.length} tailnet keys that can still be used`] : []),
    ...(found.state.some((row) => row.includes(`/stacks/`)) ? [] : [`${id} has no stack`]),
  ];
}

/** The names of stacks on which work may be under way. */
export const stacksAtWork = ({ slots }: Snapshot): string[] =>
  slots
    .filter(({ status }) => status === 'making' || status === 'removing' || status === 'claimed')
    .flatMap(({ slot_id: id, agent_id: agent }) => [id, ...(agent === null ? [] : [agentName(agent)])]);
