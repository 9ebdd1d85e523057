import { agentName, DRILL_ID, IMAGE_ID, SLOT_ID } from '../../stacks/inputs.ts';
import { chooseAddress } from '../../stacks/tailnet.ts';
import type { CloudRecord } from '../agents/cloud-record.ts';
import { stopsAgent } from '../agents/holds.ts';
import type { AgentStatus } from '../agents/states.ts';
import type { Server } from '../hetzner/hetzner.ts';
import { isAgentDevice } from '../runbooks/steps/device.ts';
import type { TailnetDevice } from '../tailscale/tailscale.ts';
import { labelledFor, type Opened, type Survey } from './survey.ts';

type AgentRecord = Extract<CloudRecord, { kind: 'agent' }>;
export type SlotRecord = Extract<CloudRecord, { kind: 'slot' }>;

/** Where a server is reached. */
export interface Reached {
  tailnetIp: string;
  tailnetName: string | null;
  nodeId: string | null;
}

/** What a row is to say. */
export type Found =
  | {
      kind: 'agent';
      record: AgentRecord;
      status: Extract<AgentStatus, 'running' | 'stopped' | 'suspended'>;
      server: Server;
      reached: Reached;
    }
  | { kind: 'hibernated'; record: AgentRecord; snapshotId: string; reached: Reached | undefined }
  /** Its provision had not come to its end: it goes on. */
  | { kind: 'unfinished'; record: AgentRecord; server: Server | undefined };

/** What a person has to decide. */
export interface Unclear {
  key: string;
  agentId: string | null;
  cause: string;
  cure: string;
}

/** A slot by its record; `unclear`: what a person decides, unless its row is there. */
interface FoundSlot {
  slotId: string;
  unclear: Unclear;
}

export interface Plan {
  found: Found[];
  slots: FoundSlot[];
  unclear: Unclear[];
}

const LOOK =
  'Look at it in the console of Hetzner. The service touches nothing of it; it is billed until it is deleted there.';

/**
 * Decides what each record, with what exists, is a row of. The sealed record says whose a server is; labels
 * and names, which others can change, only find it.
 */
export function planRebuild(survey: Survey, opened: readonly Opened[]): Plan {
  const found: Found[] = [];
  const slots: FoundSlot[] = [];
  const unclear: Unclear[] = [];
  const explained = new Set<string>();
  for (const one of opened) {
    const result =
      'record' in one ? planRecord(survey, one.key, one.record) : unreadable(one.key, one.problem);
    if ('cause' in result) unclear.push(result);
    else if ('slotId' in result) slots.push(result);
    else found.push(result);
    const server = findServer(survey, one.key, 'record' in one ? one.record : undefined);
    if (server !== undefined) explained.add(server.id);
  }
  const others = survey.servers.filter(({ id }) => !explained.has(id));
  return { found, slots, unclear: [...unclear, ...others.map(withoutKey)] };
}

function planRecord(survey: Survey, key: Opened['key'], record: CloudRecord): Found | FoundSlot | Unclear {
  const server = findServer(survey, key, record);
  const named = server === undefined ? null : labelledFor(server);
  // An agent runs on its slot's server for a while before that gets its labels.
  const isFormer = record.kind === 'agent' && SLOT_ID.test(named ?? '');
  if (server !== undefined && named !== null && named !== record.id && !isFormer)
    return {
      key: `${record.id} labels`,
      agentId: null,
      cause: `Server ${server.name} (${server.id}) is that of ${record.id} by the record at its SSH key, and its label names ${named}.`,
      cure: `${LOOK} If the record is right, correct the label agent-id and run rebuild-state again.`,
    };
  return record.kind === 'slot' ? toFoundSlot(record, server) : planAgent(survey, record, server);
}

function planAgent(survey: Survey, record: AgentRecord, server: Server | undefined): Found | Unclear {
  if (record.adopting !== undefined) return unadopted(record, record.adopting);
  const reached = findReached(survey.devices, record);
  const snapshotId = findSnapshot(survey, record);
  if (record.inputs.hibernated !== undefined || (server === undefined && snapshotId !== undefined))
    return snapshotId === undefined
      ? lost(record, 'it is hibernated, and its snapshot is no longer at Hetzner')
      : { kind: 'hibernated', record, snapshotId, reached };
  const wasReached = record.serverId !== undefined || findDevice(survey.devices, record) !== undefined;
  if (!wasReached) return { kind: 'unfinished', record, server };
  if (server === undefined) return lost(record, 'its server is no longer at Hetzner');
  if (reached === undefined) return lost(record, 'no device on the tailnet is known to be its own');
  return { kind: 'agent', record, status: statusOf(server, record), server, reached };
}

/**
 * A slot's record does not say that it still waits: that of the agent that has got it is written seconds
 * later, or not at all if Hetzner did not answer. So it never becomes a row, which would be given to a second
 * customer or removed.
 */
function toFoundSlot({ id }: SlotRecord, server: Server | undefined): FoundSlot {
  const key = `${id} slot`;
  if (server === undefined) {
    const cause = `The SSH key of ${id}, which waited for an order, is left at Hetzner without its server.`;
    return { slotId: id, unclear: { key, agentId: null, cause, cure: removeBy(id) } };
  }
  const cause = `Server ${server.name} (${server.id}) was made as ${id} to wait for an order, and may be an agent’s by now.`;
  const cure = 'Its health answer on the tailnet names its agent, if it has one. If it has none: ';
  return { slotId: id, unclear: { key, agentId: null, cause, cure: `${cure}${removeBy(id)}` } };
}

const removeBy = (slotId: string) =>
  `npm run agents -- pool remove ${slotId} removes what is left of it. Until then the service touches nothing of it, and it is billed.`;

/** By its recorded id, or by the name that it has from its record's key: names are unique in a project. */
export function findServer(
  { servers }: Pick<Survey, 'servers'>,
  { name, project }: Opened['key'],
  record: CloudRecord | undefined,
): Server | undefined {
  const there = servers.filter((server) => server.project === project);
  return there.find(({ id }) => id === record?.serverId) ?? there.find((server) => server.name === name);
}

function findSnapshot({ snapshots }: Survey, record: AgentRecord): string | undefined {
  const id = record.inputs.hibernated?.snapshotId ?? record.snapshotId;
  return snapshots.find((one) => one.id === id && one.status === 'available')?.id;
}

/**
 * The recorded device; else the one with the agent's name. Only an administrator gives a device its name for
 * good, and the service does so when it has verified the host key.
 */
function findDevice(devices: readonly TailnetDevice[], record: CloudRecord): TailnetDevice | undefined {
  const own = devices.filter(isAgentDevice);
  if (record.nodeId != null) return own.find(({ nodeId }) => nodeId === record.nodeId);
  const named = own.filter(({ name }) => name.split('.')[0] === agentName(record.id));
  return named.length === 1 ? named[0] : undefined;
}

function findReached(devices: readonly TailnetDevice[], record: CloudRecord): Reached | undefined {
  const device = findDevice(devices, record);
  const tailnetIp = device === undefined ? undefined : chooseAddress(device.addresses);
  if (device !== undefined && tailnetIp !== undefined)
    return { tailnetIp, tailnetName: device.name, nodeId: device.nodeId };
  // One that was removed from the tailnet: the row says so, and a rebuild lets it in again.
  const { tailnetIp: known, tailnetName = null, nodeId } = record;
  return known === undefined ? undefined : { tailnetIp: known, tailnetName, nodeId: nodeId ?? null };
}

function statusOf({ status }: Server, { holds }: AgentRecord): 'running' | 'stopped' | 'suspended' {
  if (!['off', 'stopping'].includes(status)) return 'running';
  return holds.some(({ reason }) => stopsAgent(reason)) ? 'suspended' : 'stopped';
}

const lost = ({ id }: AgentRecord, why: string): Unclear => ({
  key: `${id} lost`,
  agentId: id,
  cause: `Agent ${id} was not rebuilt: ${why}.`,
  cure: 'If its customer pays, create it again under another id or refund it; delete what is left of it at Hetzner and Tailscale.',
});

/**
 * What the server was before is lost with the row, so it can neither be given back nor become the agent's.
 */
const unadopted = ({ id }: AgentRecord, { serverId }: { serverId: string }): Unclear => ({
  key: `${id} adopting`,
  agentId: id,
  cause: `Server ${serverId} is its owner's: agent ${id} was still adopting it when its row was lost.`,
  cure: 'The service touches nothing of it. Remove our labels, our firewall and our SSH key from it in the console of Hetzner, run src/tailnet/admission/undo.sh on it as root, and delete its device at Tailscale; then it can be adopted again, under another id.',
});

function unreadable(key: Opened['key'], problem: string): Unclear {
  const owner = labelledFor(key);
  const isImage = owner !== null && IMAGE_ID.test(owner);
  const isSlot = owner !== null && SLOT_ID.test(owner);
  return {
    key: `ssh-key ${key.id}`,
    agentId: null,
    cause: `SSH key ${key.name} (${key.id})${owner === null ? '' : ` of ${owner}`} ${problem}.`,
    cure:
      isImage || isSlot
        ? `It is left from the ${isImage ? 'build of an image' : 'making of a server for the pool'}: delete it and its server at Hetzner.`
        : `${LOOK} Without the record nobody has the key to its server: restore a backup, or adopt the server with its key.`,
  };
}

function withoutKey(server: Server): Unclear {
  const { id, name } = server;
  const key = { key: `server ${id}`, agentId: null };
  const owner = labelledFor(server);
  if (DRILL_ID.test(name) && owner === name)
    return {
      ...key,
      cause: `Server ${name} (${id}) is left from a restore drill: a copy of an agent's snapshot, on no tailnet.`,
      cure: 'Delete it at Hetzner: it is billed until then. The agent has its own server, and the snapshot stays.',
    };
  const isImage = owner !== null && IMAGE_ID.test(owner);
  return {
    ...key,
    cause: `Server ${name} (${id}) carries our labels, and no SSH key with its record is at Hetzner.`,
    cure: isImage
      ? 'It is left from the build of an image: delete it at Hetzner.'
      : `${LOOK} Restore a backup, or adopt the server with its key.`,
  };
}
