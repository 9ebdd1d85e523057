import { createHmac, timingSafeEqual } from 'node:crypto';
import { readAgentSnapshot, readDevice, readLabels, readSeal, withSeal } from '../../stacks/labels.ts';
import { Keyring } from '../keys/keyring.ts';
import type { Keyset } from '../keys/keyset.ts';
import type { Secret } from '../secret.ts';
import { deriveLabelKey } from './record-seal.ts';

/**
 * Proves whose disk a snapshot holds, with a keyed hash in its labels. It covers the snapshot's id, its
 * agent, the tailnet device on the disk, and the server that it was made from, which Hetzner tells and nobody
 * can set: labels that were copied to a snapshot of another server prove nothing there.
 */
export interface SnapshotSeal {
  /** Returns the labels with the seal for a snapshot of this server, in place of any other. */
  seal(labels: Readonly<Record<string, string>>, serverId: string): Promise<Record<string, string>>;
  /** Whether one of the passphrases has sealed these labels for a snapshot of this server. */
  isValid(labels: Readonly<Record<string, string>>, serverId: string | null): Promise<boolean>;
}

const PURPOSE = 'seals of agents’ snapshots v1';
/** 128 bits. A label's value has at most 63 characters. */
const DIGITS = 32;

/** Seals with the present passphrase, and knows what a former one sealed while it is there. */
export function createSnapshotSeal(keys: Secret | Keyring): SnapshotSeal {
  const keyring = keys instanceof Keyring ? keys : new Keyring(keys);
  return {
    seal: async (labels, serverId) => withSeal(labels, await hashOf(keyring.sealing, labels, serverId)),
    isValid: async (labels, serverId) => {
      const found = Buffer.from(readSeal(labels) ?? '');
      if (serverId === null || found.length !== DIGITS) return false;
      for (const keyset of keyring.all)
        if (timingSafeEqual(found, Buffer.from(await hashOf(keyset, labels, serverId)))) return true;
      return false;
    },
  };
}

async function hashOf(
  keyset: Keyset,
  labels: Readonly<Record<string, string>>,
  serverId: string,
): Promise<string> {
  const text = JSON.stringify([
    readAgentSnapshot(labels),
    readLabels(labels).agentId,
    serverId,
    readDevice(labels),
  ]);
  const key = await deriveLabelKey(keyset, PURPOSE);
  return createHmac('sha256', key).update(text).digest('hex').slice(0, DIGITS);
}
