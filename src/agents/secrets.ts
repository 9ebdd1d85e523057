import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { z } from 'zod';
import { Keyring } from '../keys/keyring.ts';
import type { KeptKeys } from '../keys/keyset.ts';
import { openText, sealText, UnknownKeyError } from '../keys/sealed-text.ts';
import type { Secret } from '../secret.ts';
import { decodeOpensshSeed, encodeOpensshPrivateKey, encodeOpensshPublicKey } from './openssh.ts';

/** An agent's own key pairs. Generated before any resource is created and shared by every attempt. */
const keysSchema = z.object({
  sshPrivateKey: z.string(),
  sshPublicKey: z.string(),
  /** The host key in the user data, which the server presents at first. */
  hostPrivateKey: z.string(),
  hostPublicKey: z.string(),
  /** The host key after the first Ansible run, since any process there can read the user data. */
  nextHostPrivateKey: z.string(),
  nextHostPublicKey: z.string(),
});
export type AgentKeys = z.infer<typeof keysSchema>;

/**
 * Generates ed25519 pairs in OpenSSH's formats: one to administer an agent's server, and its two host keys.
 */
export function generateAgentKeys(agentId: string): AgentKeys {
  const newKey = () => generateKeyPairSync('ed25519').privateKey;
  return toAgentKeys(agentId, { ssh: newKey(), host: newKey(), nextHost: newKey() });
}

/** All that is secret of an agent's keys: an ed25519 seed of 32 bytes each. */
export interface KeySeeds {
  ssh: Buffer;
  host: Buffer;
  nextHost: Buffer;
}

/** @throws Error if a key is not an ed25519 key in OpenSSH's format */
export function toSeeds(keys: AgentKeys): KeySeeds {
  return {
    ssh: decodeOpensshSeed(keys.sshPrivateKey),
    host: decodeOpensshSeed(keys.hostPrivateKey),
    nextHost: decodeOpensshSeed(keys.nextHostPrivateKey),
  };
}

/** RFC 8410's header of a seed, which Node reads a private key with. */
const PKCS8_HEADER = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Makes the keys that these seeds are of. */
export function keysFromSeeds(agentId: string, seeds: KeySeeds): AgentKeys {
  const toKey = (seed: Buffer) =>
    createPrivateKey({ key: Buffer.concat([PKCS8_HEADER, seed]), format: 'der', type: 'pkcs8' });
  return toAgentKeys(agentId, {
    ssh: toKey(seeds.ssh),
    host: toKey(seeds.host),
    nextHost: toKey(seeds.nextHost),
  });
}

function toAgentKeys(agentId: string, keys: Record<keyof KeySeeds, KeyObject>): AgentKeys {
  const ssh = toPair(keys.ssh, `agents ${agentId}`);
  const host = toPair(keys.host, `host ${agentId}`);
  const nextHost = toPair(keys.nextHost, `host ${agentId}`);
  return {
    sshPrivateKey: ssh.privateKey,
    sshPublicKey: ssh.publicKey,
    hostPrivateKey: host.privateKey,
    hostPublicKey: host.publicKey,
    nextHostPrivateKey: nextHost.privateKey,
    nextHostPublicKey: nextHost.publicKey,
  };
}

function toPair(key: KeyObject, comment: string): { privateKey: string; publicKey: string } {
  const publicKey = Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x!, 'base64url');
  const pair = { publicKey, privateKey: Buffer.from(key.export({ format: 'jwk' }).d!, 'base64url') };
  return {
    privateKey: encodeOpensshPrivateKey(pair, comment),
    publicKey: encodeOpensshPublicKey(pair.publicKey),
  };
}

/** Encrypts and decrypts an agent's secrets. */
export interface Vault {
  seal(agentId: string, keys: AgentKeys): Buffer;
  /**
   * @throws UnknownKeyError if the passphrase was changed meanwhile
   * @throws Error if the passphrase differs or the text belongs to another agent
   */
  open(agentId: string, sealed: Buffer): AgentKeys;
  /**
   * Returns the hostname under which a server with the tailnet key of this generation joins: a DNS label of
   * 37 characters. It cannot be guessed without the passphrase. It is the same for every attempt, as long as
   * the passphrase is.
   */
  joinName(agentId: string, keyGeneration: number): string;
  /** All such hostnames, under this passphrase and former ones. */
  joinNames(agentId: string, keyGeneration: number): string[];
  /** Whether `open` would succeed. */
  canOpen(agentId: string, sealed: Buffer): boolean;
}

const JOIN_NAME_BYTES = 16;

/** Creates a vault that seals with keys derived from the installation's passphrase (src/keys). */
export function createVault(keys: Secret | Keyring): Vault {
  const keyring = keys instanceof Keyring ? keys : new Keyring(keys);
  const open: Vault['open'] = (agentId, sealed) => {
    try {
      return keysSchema.parse(JSON.parse(openText(keyring.all, agentId, sealed)));
    } catch (cause) {
      if (cause instanceof UnknownKeyError)
        throw new UnknownKeyError(`The secrets of agent ${agentId}: ${cause.message}`, { cause });
      throw new Error(
        `The secrets of agent ${agentId} cannot be opened. Has PULUMI_CONFIG_PASSPHRASE changed?`,
        { cause },
      );
    }
  };
  return {
    joinName: (agentId, keyGeneration) => toJoinName(keyring.sealing, agentId, keyGeneration),
    joinNames: (agentId, keyGeneration) =>
      [...keyring.all, ...keyring.kept].map((one) => toJoinName(one, agentId, keyGeneration)),
    seal: (agentId, agentKeys) => sealText(keyring.sealing, agentId, JSON.stringify(agentKeys)),
    open,
    canOpen: (agentId, sealed) => {
      try {
        return open(agentId, sealed) !== undefined;
      } catch {
        return false;
      }
    },
  };
}

function toJoinName({ names }: Pick<KeptKeys, 'names'>, agentId: string, keyGeneration: number): string {
  const text = createHmac('sha256', names).update(`${agentId} ${keyGeneration}`).digest();
  return `join-${text.subarray(0, JOIN_NAME_BYTES).toString('hex')}`;
}
