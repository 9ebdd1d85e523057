import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { LostError } from '../errors.ts';

/** A key that seals; its id tells which one a value was sealed with. */
export interface SealingKey {
  /** 16 hexadecimal digits that reveal nothing of the key. */
  id: string;
  sealing: Buffer;
}

/** Format, nonce, tag, ciphertext: the values of versions that knew one key only. */
const FIRST_FORMAT = 1;
/** Format, the key's id, nonce, tag, ciphertext. The function `key_of` of the database reads the id too. */
const FORMAT = 2;
const ID_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A value was sealed with a passphrase that this process does not have: it was changed meanwhile. */
export class UnknownKeyError extends LostError {
  override name = 'UnknownKeyError';
}

/** Seals a text with AES-256-GCM, bound to an id. */
export function sealText({ id: keyId, sealing }: SealingKey, id: string, text: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', sealing, nonce).setAAD(Buffer.from(id));
  const sealed = Buffer.concat([cipher.update(text), cipher.final()]);
  return Buffer.concat([Buffer.of(FORMAT), Buffer.from(keyId, 'hex'), nonce, cipher.getAuthTag(), sealed]);
}

/** The id of the key that a value was sealed with; undefined in the first format, which does not name it. */
export function sealedWith(sealed: Buffer): string | undefined {
  return sealed[0] === FORMAT ? sealed.subarray(1, 1 + ID_BYTES).toString('hex') : undefined;
}

/**
 * Opens a sealed text with the key that it names, or with the one of several that fits.
 * @throws UnknownKeyError; Error if the text was changed or belongs to another id
 */
export function openText(keys: readonly SealingKey[], id: string, sealed: Buffer): string {
  const keyId = sealedWith(sealed);
  if (keyId === undefined && sealed[0] !== FIRST_FORMAT) throw new Error('The value has an unknown format');
  const fitting = keyId === undefined ? keys : keys.filter((key) => key.id === keyId);
  if (fitting.length === 0)
    throw new UnknownKeyError(
      'A value is sealed with another PULUMI_CONFIG_PASSPHRASE than this process has',
    );
  const body = sealed.subarray(keyId === undefined ? 1 : 1 + ID_BYTES);
  let failure: unknown;
  for (const { sealing } of fitting)
    try {
      return decrypt(sealing, id, body);
    } catch (error) {
      failure = error;
    }
  throw failure;
}

function decrypt(key: Buffer, id: string, body: Buffer): string {
  const nonce = body.subarray(0, NONCE_BYTES);
  const tag = body.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
    .setAAD(Buffer.from(id))
    .setAuthTag(tag);
  return Buffer.concat([
    decipher.update(body.subarray(NONCE_BYTES + TAG_BYTES)),
    decipher.final(),
  ]).toString();
}
