import { createCipheriv, createDecipheriv, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import type { Keyset } from '../keys/keyset.ts';

/**
 * How Pulumi encrypts a state with a passphrase: AES-256-GCM with a key of a million rounds over the
 * passphrase and a salt. The state names the salt together with a known word that proves the passphrase.
 * @see https://github.com/pulumi/pulumi/blob/v3.259.0/pkg/secrets/passphrase/manager.go
 */
const ROUNDS = 1_000_000;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SALT_BYTES = 8;
const KNOWN_WORD = 'pulumi';
/** `v1:<salt>:` and the known word, encrypted. */
const SALT = /^v1:([A-Za-z0-9+/]+={0,2}):(v1:[A-Za-z0-9+/]{16}:[A-Za-z0-9+/]+={0,2})$/;
/** A JSON text of an encrypted value, with the name of its property where it is that of a secret. */
const ENCRYPTED = /("ciphertext":\s*)?"(v1:[A-Za-z0-9+/]{16}:[A-Za-z0-9+/]+={0,2})"/g;

const stretch = promisify(pbkdf2);

/** A passphrase's key for one salt. */
export interface StateKey {
  /** As a state names it. */
  salt: string;
  key: Buffer;
}

/** Finds the keys of states. A salt takes a third of a second of processor time; most states share one. */
export class StateKeys {
  readonly #known = new Map<string, Promise<StateKey | undefined>>();
  readonly #most: number;

  constructor(most = 1_000) {
    this.#most = most;
  }

  /** The key of the state with this salt; undefined if this is not its passphrase. */
  find(keyset: Pick<Keyset, 'id' | 'passphrase'>, salt: string): Promise<StateKey | undefined> {
    const name = `${keyset.id} ${salt}`;
    let found = this.#known.get(name);
    if (found === undefined) {
      found = open(keyset, salt);
      if (this.#known.size >= this.#most) this.#known.delete(this.#known.keys().next().value!);
      this.#known.set(name, found);
    }
    return found;
  }

  /** A key with a new salt. */
  async create(keyset: Pick<Keyset, 'id' | 'passphrase'>): Promise<StateKey> {
    const salt = randomBytes(SALT_BYTES);
    const key = await toKey(keyset, salt);
    return { salt: `v1:${salt.toString('base64')}:${encrypt(key, KNOWN_WORD)}`, key };
  }
}

async function open(keyset: Pick<Keyset, 'passphrase'>, salt: string): Promise<StateKey | undefined> {
  const [, bytes, word] = SALT.exec(salt) ?? [];
  if (bytes === undefined || word === undefined) return undefined;
  const key = await toKey(keyset, Buffer.from(bytes, 'base64'));
  return decrypt(key, word) === KNOWN_WORD ? { salt, key } : undefined;
}

const toKey = ({ passphrase }: Pick<Keyset, 'passphrase'>, salt: Buffer) =>
  stretch(passphrase.reveal(), salt, ROUNDS, KEY_BYTES, 'sha256');

/** `v1:<nonce>:<ciphertext and tag>` */
function encrypt(key: Buffer, text: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const body = Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
  return `v1:${nonce.toString('base64')}:${body.toString('base64')}`;
}

/** Undefined if the key is another one. */
function decrypt(key: Buffer, text: string): string | undefined {
  const [, nonce = '', encoded = ''] = text.split(':');
  const body = Buffer.from(encoded, 'base64');
  if (body.length < TAG_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64'), {
    authTagLength: TAG_BYTES,
  }).setAuthTag(body.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(body.subarray(0, -TAG_BYTES)), decipher.final()]).toString();
  } catch {
    return undefined;
  }
}

/** A state contains a secret that its own passphrase does not open. */
export class UnreadableStateError extends Error {
  override name = 'UnreadableStateError';
}

/**
 * Encrypts all secrets of a state's JSON text with another key. Everything else stays as it is, to the byte:
 * numbers in it may be longer than JavaScript's.
 * @throws UnreadableStateError
 */
export function reencrypt(state: string, from: StateKey, to: StateKey): string {
  const moved = state.replaceAll(ENCRYPTED, (whole, property: string | undefined, text: string) => {
    const plain = decrypt(from.key, text);
    if (plain !== undefined) return `${property ?? ''}"${encrypt(to.key, plain)}"`;
    if (property !== undefined)
      throw new UnreadableStateError('The state has a secret that its passphrase does not open');
    return whole;
  });
  return moved.replaceAll(JSON.stringify(from.salt), () => JSON.stringify(to.salt));
}
