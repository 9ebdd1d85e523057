import { z } from 'zod';
import {
  type Adopting,
  type AgentInputs,
  adoptingSchema,
  agentInputsSchema,
} from '../../stacks/agent-inputs.ts';
import { SLOT_ID, toServerName } from '../../stacks/inputs.ts';
import { serverIdSchema } from '../../stacks/outputs.ts';
import { HOLD_REASONS, type Hold } from './holds.ts';
import { agentIdSchema, planSchema, regionSchema, userIdSchema } from './new-agent.ts';
import { agentOutputsSchema } from './outputs.ts';
import type { RecordSeal } from './record-seal.ts';
import { type AgentKeys, type KeySeeds, keysFromSeeds, toSeeds } from './secrets.ts';

/** What of an agent stands in no cloud, and what tells which resources are its own. */
const seed = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
/** They follow from the owner and its keys. */
const DERIVED = { agentId: true, sshPublicKey: true, hostPublicKey: true } as const;
const outputs = agentOutputsSchema.shape;

const common = {
  location: z.string().max(20),
  plan: planSchema,
  createdAt: z.iso.datetime(),
  /**
   * What a server was before its adoption is too much for labels. Whoever reads that it is still being
   * adopted touches nothing of it.
   */
  inputs: agentInputsSchema
    .omit(DERIVED)
    .extend({ adopting: adoptingSchema.pick({ serverId: true }).optional() }),
  /** Of the administration key, the first host key and the next one. */
  keys: z.tuple([seed, seed, seed]),
  /** Of a server that has been reached; absent while it is being made. */
  serverId: serverIdSchema.optional(),
  ipv4: outputs.ipv4.optional(),
  ipv6: outputs.ipv6.optional(),
  nodeId: outputs.tailnetNodeId.optional(),
  tailnetIp: outputs.tailnetIp.optional(),
  tailnetName: outputs.tailnetName.optional(),
};

const time = z.iso.datetime();
const agentSchema = z.strictObject({
  kind: z.literal('agent'),
  id: agentIdSchema,
  userId: userIdSchema,
  region: regionSchema,
  ...common,
  snapshotId: serverIdSchema.optional(),
  subscriptionId: z.string().min(1).max(255).optional(),
  isProtected: z.literal(true).optional(),
  holds: z
    .array(z.tuple([z.enum(HOLD_REASONS), time, z.string().min(1).max(200), z.string().max(500).nullable()]))
    .max(HOLD_REASONS.length)
    .optional(),
});
const slotSchema = z.strictObject({
  kind: z.literal('slot'),
  id: z.string().regex(SLOT_ID),
  ...common,
  /** Absent while it is being made. */
  fingerprint: z.string().min(1).max(100).optional(),
});
const recordSchema = z.discriminatedUnion('kind', [agentSchema, slotSchema]);

/** A record as it is sealed; undefined fields are left out. */
type Content = z.input<typeof recordSchema>;

/** What a row says about its agent or slot, with its keys. */
export type CloudRecord = (
  | (Omit<z.infer<typeof agentSchema>, 'inputs' | 'keys' | 'holds'> & { holds: Hold[] })
  | Omit<z.infer<typeof slotSchema>, 'inputs' | 'keys'>
) & {
  /** An opened record has no `adopting` here. */
  inputs: AgentInputs;
  keys: AgentKeys;
  /** The server that was still its owner's when the record was sealed. */
  adopting?: Pick<Adopting, 'serverId'>;
};

/** Seals a record into labels of its owner's SSH key. @throws Error if it is too long */
export function sealRecord(seal: RecordSeal, record: CloudRecord): Promise<Record<string, string>> {
  const { agentId: _, sshPublicKey: __, hostPublicKey: ___, adopting: foreign, ...known } = record.inputs;
  const { serverId } = record.adopting ?? foreign ?? {};
  const inputs = { ...known, ...(serverId !== undefined && { adopting: { serverId } }) };
  const seeds = toSeeds(record.keys);
  const keys = [seeds.ssh, seeds.host, seeds.nextHost].map((one) => one.toString('base64url'));
  const holds =
    record.kind === 'agent' && record.holds.length > 0
      ? { holds: record.holds.map(({ reason, since, by, note }) => [reason, since.toISOString(), by, note]) }
      : {};
  const { inputs: _inputs, keys: _keys, adopting: _adopting, ...rest } = record;
  const content = { ...rest, holds: undefined, ...holds, inputs, keys } as unknown as Content;
  return seal.seal(toServerName(record.inputs), JSON.stringify(content));
}

/**
 * Opens the record in the labels of an SSH key with this name.
 * @returns undefined if there is none
 * @throws Error if it cannot be opened, or is none that this version knows
 */
export async function openRecord(
  seal: RecordSeal,
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<CloudRecord | undefined> {
  const text = await seal.open(name, labels);
  if (text === undefined) return undefined;
  const { inputs: sealed, keys, ...record } = recordSchema.parse(JSON.parse(text));
  const { adopting, ...inputs } = sealed;
  const [ssh, host, nextHost] = keys.map((one) => Buffer.from(one, 'base64url')) as [Buffer, Buffer, Buffer];
  const own = keysFromSeeds(record.id, { ssh, host, nextHost } satisfies KeySeeds);
  const { sshPublicKey, hostPublicKey } = own;
  const whole = {
    inputs: { ...inputs, agentId: record.id, sshPublicKey, hostPublicKey },
    keys: own,
    ...(adopting && { adopting }),
  };
  if (record.kind === 'slot') return { ...record, ...whole };
  const holds = (record.holds ?? []).map(
    ([reason, since, by, note]): Hold => ({ reason, since: new Date(since), by, note }),
  );
  return { ...record, holds, ...whole };
}
