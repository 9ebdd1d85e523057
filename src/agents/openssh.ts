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
