import { type Made, madeBy, reachedAt } from '../agents/agent-record.ts';
import type { CloudRecord } from '../agents/cloud-record.ts';
import { completeInputs, parseRecordedInputs } from '../agents/inputs.ts';
import type { Vault } from '../agents/secrets.ts';
import type { SlotRow } from './slots.ts';

type SlotRecord = Extract<CloudRecord, { kind: 'slot' }>;

/** Returns what has to survive of a slot that is ready. @throws Error if its row is incomplete */
export function toSlotRecord(vault: Vault, slot: SlotRow): SlotRecord {
  const { slot_id: slotId, secrets, fingerprint } = slot;
  if (secrets === null) throw new Error(`${slotId} has no recorded keys`);
  const inputs = completeInputs(slotId, parseRecordedInputs(slot.inputs));
  const made: Made = { inputs, keys: vault.open(slotId, secrets) };
  return { kind: 'slot', id: slotId, fingerprint, ...madeBy(slot, made), ...reachedAt(slot) };
}
