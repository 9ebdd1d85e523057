import { createHmac, hkdfSync, scryptSync } from 'node:crypto';
import { z } from 'zod';
import { Secret } from '../secret.ts';
import { openText, type SealingKey, sealText } from './sealed-text.ts';

/** What is still needed of a passphrase when another has replaced it: it opens nothing any more. */
export interface KeptKeys {
  /** Derives the hostnames under which servers join the tailnet. */
  names: Buffer;
  /** Of the chain over the audit log. */
  audit: Buffer;
  /** Makes the versions of the playbook that contain the operator's settings. */
  versions: Secret;
}

/** Everything that is derived from one passphrase. */
export interface Keyset extends SealingKey, KeptKeys {
  passphrase: Secret;
}

const SALT = 'agent-stacks agent secrets v1';
const AUDIT_SALT = 'agent-stacks audit chain v1';
const ID_DIGITS = 16;

/** Derives the keys of a passphrase. Takes a fifth of a second: people may choose one that can be guessed. */
export function deriveKeyset(passphrase: Secret): Keyset {
  const sealing = scryptSync(passphrase.reveal(), SALT, 32);
  const derive = (purpose: string) => createHmac('sha256', sealing).update(purpose).digest();
  const audit = scryptSync(passphrase.reveal(), AUDIT_SALT, 32);
  return {
    id: derive('id of the key').toString('hex').slice(0, ID_DIGITS),
    passphrase,
    sealing,
    names: derive('join names'),
    audit: Buffer.from(hkdfSync('sha256', audit, AUDIT_SALT, 'audit chain', 32)),
    versions: new Secret(derive('versions of the playbook').toString('hex')),
  };
}

const hex = z.string().regex(/^[0-9a-f]{64}$/);
const keptSchema = z.strictObject({ names: hex, audit: hex, versions: hex });

/** Cannot clash with an agent's id, which has no spaces. */
const keptId = (epoch: number) => `the keys of epoch ${epoch}`;

/** Seals what is kept of a former key with the present one. */
export function sealKept(key: SealingKey, epoch: number, { names, audit, versions }: KeptKeys): Buffer {
  const text = { names: names.toString('hex'), audit: audit.toString('hex'), versions: versions.reveal() };
  return sealText(key, keptId(epoch), JSON.stringify(text));
}

/** @throws UnknownKeyError; Error if it was changed */
export function openKept(keys: readonly SealingKey[], epoch: number, sealed: Buffer): KeptKeys {
  const kept = keptSchema.parse(JSON.parse(openText(keys, keptId(epoch), sealed)));
  return {
    names: Buffer.from(kept.names, 'hex'),
    audit: Buffer.from(kept.audit, 'hex'),
    versions: new Secret(kept.versions),
  };
}
