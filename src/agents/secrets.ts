import { createHmac, generateKeyPairSync } from 'node:crypto';
import { z } from 'zod';
import { Keyring } from '../keys/keyring.ts';
import type { KeptKeys } from '../keys/keyset.ts';
import { openText, sealText, UnknownKeyError } from '../keys/sealed-text.ts';
import type { Secret } from '../secret.ts';
import { encodeOpensshPrivateKey, encodeOpensshPublicKey } from './openssh.ts';

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
  const ssh = generatePair(`agents ${agentId}`);
  const host = generatePair(`host ${agentId}`);
  const nextHost = generatePair(`host ${agentId}`);
  return {
    sshPrivateKey: ssh.privateKey,
    sshPublicKey: ssh.publicKey,
    hostPrivateKey: host.privateKey,
    hostPublicKey: host.publicKey,
    nextHostPrivateKey: nextHost.privateKey,
    nextHostPublicKey: nextHost.publicKey,
  };
}

function generatePair(comment: string): { privateKey: string; publicKey: string } {
  const { privateKey } = generateKeyPairSync('ed25519');
  const jwk = privateKey.export({ format: 'jwk' });
  const pair = { publicKey: Buffer.from(jwk.x!, 'base64url'), privateKey: Buffer.from(jwk.d!, 'base64url') };
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
