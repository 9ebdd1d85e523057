import { randomBytes } from 'node:crypto';

const KEY_TYPE = 'ssh-ed25519';
const BLOCK_BYTES = 8;

function field(content: Buffer | string): Buffer {
  const bytes = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function publicBlob(publicKey: Buffer): Buffer {
  return Buffer.concat([field(KEY_TYPE), field(publicKey)]);
}

/** Encodes a raw 32-byte public key as `ssh-ed25519 AAAA…`. */
export function encodeOpensshPublicKey(publicKey: Buffer): string {
  return `${KEY_TYPE} ${publicBlob(publicKey).toString('base64')}`;
}

/**
 * Encodes an unencrypted private key file in OpenSSH's format. Node cannot export ed25519 keys in any format
 * that OpenSSH reads.
 * @see https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key
 */
export function encodeOpensshPrivateKey(
  pair: { publicKey: Buffer; privateKey: Buffer },
  comment: string,
): string {
  const check = randomBytes(4);
  const unpadded = Buffer.concat([
    check,
    check,
    publicBlob(pair.publicKey),
    field(Buffer.concat([pair.privateKey, pair.publicKey])),
    field(comment),
  ]);
  const padding = Buffer.from(
    Array.from(
      { length: (BLOCK_BYTES - (unpadded.length % BLOCK_BYTES)) % BLOCK_BYTES },
      (_, index) => index + 1,
    ),
  );
  const one = Buffer.of(0, 0, 0, 1);
  const blob = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    field('none'),
    field('none'),
    field(''),
    one,
    field(publicBlob(pair.publicKey)),
    field(Buffer.concat([unpadded, padding])),
  ]);
  const lines = blob.toString('base64').match(/.{1,70}/g) ?? [];
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

const MAGIC = 'openssh-key-v1\0';
const SEED_BYTES = 32;

/**
 * Returns the 32-byte seed in an unencrypted ed25519 private key file, which is all of it that is secret.
 * @throws Error for any other text
 */
export function decodeOpensshSeed(privateKey: string): Buffer {
  const blob = Buffer.from(privateKey.replace(/-----[^-]+-----/g, ''), 'base64');
  if (blob.subarray(0, MAGIC.length).toString('latin1') !== MAGIC)
    throw new Error('This is not a private key in OpenSSH’s format');
  // Cipher, key derivation, its options; the number of keys; the public one; the private part.
  const [cipher = '', , , , , unencrypted] = readFields(blob.subarray(MAGIC.length), [0, 0, 0, 4, 0, 0]);
  if (cipher.toString() !== 'none') throw new Error('The private key is protected by a passphrase');
  const [, type = '', , pair] = readFields(unencrypted!, [8, 0, 0, 0]);
  if (type.toString() !== KEY_TYPE || pair?.length !== 2 * SEED_BYTES)
    throw new Error('The private key is not an ed25519 key');
  return Buffer.from(pair.subarray(0, SEED_BYTES));
}

/** Reads consecutive fields; 0 stands for one that begins with its length. */
function readFields(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const fields: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    const length = size === 0 ? bytes.readUInt32BE(at) : size;
    at += size === 0 ? 4 : 0;
    if (at + length > bytes.length) throw new Error('The private key is cut short');
    fields.push(bytes.subarray(at, at + length));
    at += length;
  }
  return fields;
}
