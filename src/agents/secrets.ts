import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  scryptSync,
} from 'node:crypto';
import { z } from 'zod';
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
  /** @throws Error if the passphrase differs or the text belongs to another agent */
  open(agentId: string, sealed: Buffer): AgentKeys;
  /**
   * Returns the hostname under which a server with the tailnet key of this generation joins: a DNS label of
   * 37 characters. It is the same for every attempt and cannot be guessed without the passphrase.
   */
  joinName(agentId: string, keyGeneration: number): string;
  /** Whether `open` would succeed. */
  canOpen(agentId: string, sealed: Buffer): boolean;
  /** Seals any text, bound to any id. */
  sealText(id: string, text: string): Buffer;
  /** @throws Error if the passphrase differs or the text belongs to another id */
  openText(id: string, sealed: Buffer): string;
}

const FORMAT = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SALT = 'agent-stacks agent secrets v1';
const JOIN_NAME_BYTES = 16;

/**
 * Creates a vault that uses AES-256-GCM with a key derived from the installation's passphrase and binds each
 * text to the agent's id. Layout: format, nonce, tag, ciphertext.
 */
export function createVault(passphrase: Secret): Vault {
  const key = scryptSync(passphrase.reveal(), SALT, 32);
  const nameKey = createHmac('sha256', key).update('join names').digest();
  const open: Vault['open'] = (agentId, sealed) => {
    if (sealed[0] !== FORMAT) throw new Error(`The secrets of agent ${agentId} have an unknown format`);
    try {
      return keysSchema.parse(JSON.parse(openText(key, agentId, sealed)));
    } catch (cause) {
      throw new Error(
        `The secrets of agent ${agentId} cannot be opened. Has PULUMI_CONFIG_PASSPHRASE changed?`,
        { cause },
      );
    }
  };
  return {
    joinName: (agentId, keyGeneration) => {
      const text = createHmac('sha256', nameKey).update(`${agentId} ${keyGeneration}`).digest();
      return `join-${text.subarray(0, JOIN_NAME_BYTES).toString('hex')}`;
    },
    seal: (agentId, keys) => sealText(key, agentId, JSON.stringify(keys)),
    open,
    canOpen: (agentId, sealed) => {
      try {
        return open(agentId, sealed) !== undefined;
      } catch {
        return false;
      }
    },
    sealText: (id, text) => sealText(key, id, text),
    openText: (id, sealed) => openText(key, id, sealed),
  };
}

function sealText(key: Buffer, id: string, text: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(id));
  const sealed = Buffer.concat([cipher.update(text), cipher.final()]);
  return Buffer.concat([Buffer.of(FORMAT), nonce, cipher.getAuthTag(), sealed]);
}

function openText(key: Buffer, id: string, sealed: Buffer): string {
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
  const tag = sealed.subarray(1 + NONCE_BYTES, 1 + NONCE_BYTES + TAG_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
    .setAAD(Buffer.from(id))
    .setAuthTag(tag);
  const text = sealed.subarray(1 + NONCE_BYTES + TAG_BYTES);
  return Buffer.concat([decipher.update(text), decipher.final()]).toString();
}
