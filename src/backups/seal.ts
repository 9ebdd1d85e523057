import { Readable } from 'node:stream';
import { createGunzip, createGzip } from 'node:zlib';
import { Decrypter, Encrypter } from 'age-encryption';
import type { Secret } from '../secret.ts';
import { BackupError } from './load.ts';

/**
 * Compresses and encrypts as `age` does, so that its own program opens a backup too. Without recipients the
 * installation's passphrase encrypts.
 * @see https://age-encryption.org/v1
 */
export async function seal(
  lines: AsyncIterable<string>,
  { passphrase, recipients }: { passphrase: Secret; recipients: readonly string[] },
): Promise<AsyncIterable<Uint8Array>> {
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  if (recipients.length === 0) encrypter.setPassphrase(passphrase.reveal());
  const zipped = Readable.from(lines).pipe(createGzip());
  return encrypter.encrypt(toWeb(zipped)) as Promise<AsyncIterable<Uint8Array>>;
}

/**
 * @param keys the passphrase, and the private keys of recipients
 * @throws BackupError if none of them opens it
 */
export async function unseal(
  chunks: AsyncIterable<Uint8Array>,
  { passphrase, identities }: { passphrase: Secret; identities: readonly string[] },
): Promise<AsyncIterable<Uint8Array>> {
  const decrypter = new Decrypter();
  if (identities.length === 0) decrypter.addPassphrase(passphrase.reveal());
  for (const identity of identities) decrypter.addIdentity(identity);
  try {
    const opened = await decrypter.decrypt(toWeb(Readable.from(chunks)));
    return Readable.fromWeb(opened as never).pipe(createGunzip());
  } catch (cause) {
    throw new BackupError(
      'The backup cannot be opened: it is of another installation or passphrase, damaged, or encrypted for recipients whose key is needed (--identity)',
      { cause },
    );
  }
}

const toWeb = (stream: Readable) => Readable.toWeb(stream) as unknown as ReadableStream<Uint8Array>;
