import { pipeline, Readable } from 'node:stream';
import { createGunzip, createGzip } from 'node:zlib';
import type { Secret } from '../secret.ts';
import { BackupError } from './backup-error.ts';

/**
 * The library derives the key in this thread, which answers nothing meanwhile: a quarter of age's own effort
 * takes a third of a second.
 */
const WORK_FACTOR = 16;

/** Loaded when it is needed: with what it needs it is a megabyte of code. */
const loadAge = () => import('age-encryption');

/**
 * Compresses and encrypts as `age` does, so that its own program opens a backup too. Without recipients the
 * installation's passphrase encrypts. An error of the lines is one of the result.
 * @see https://age-encryption.org/v1
 */
export async function seal(
  lines: AsyncIterable<string>,
  { passphrase, recipients }: { passphrase: Secret; recipients: readonly string[] },
): Promise<AsyncIterable<Uint8Array>> {
  const { Encrypter } = await loadAge();
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  if (recipients.length === 0) {
    encrypter.setScryptWorkFactor(WORK_FACTOR);
    encrypter.setPassphrase(passphrase.reveal());
  }
  const zipped = createGzip();
  // Who reads the other end gets the error.
  pipeline(Readable.from(lines), zipped, () => {});
  return encrypter.encrypt(toWeb(zipped)) as Promise<AsyncIterable<Uint8Array>>;
}

/**
 * @param keys the passphrases to try, or the private keys of recipients
 * @throws BackupError if none of them opens it, and while it is read if it is damaged
 */
export async function unseal(
  chunks: AsyncIterable<Uint8Array>,
  { passphrases, identities }: { passphrases: readonly Secret[]; identities: readonly string[] },
): Promise<AsyncIterable<Uint8Array>> {
  const { Decrypter } = await loadAge();
  const decrypter = new Decrypter();
  if (identities.length === 0) for (const one of passphrases) decrypter.addPassphrase(one.reveal());
  for (const identity of identities) decrypter.addIdentity(identity);
  try {
    return unzipped(await decrypter.decrypt(toWeb(Readable.from(chunks))));
  } catch (cause) {
    throw new BackupError(
      'The backup cannot be opened: it is of another installation or passphrase, damaged, or encrypted for recipients whose key is needed (--identity)',
      { cause },
    );
  }
}

async function* unzipped(opened: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const plain = createGunzip();
  pipeline(Readable.fromWeb(opened as never), plain, () => {});
  try {
    yield* plain as AsyncIterable<Uint8Array>;
  } catch (cause) {
    throw new BackupError('The backup is damaged: it cannot be read to its end', { cause });
  }
}

const toWeb = (stream: Readable) => Readable.toWeb(stream) as unknown as ReadableStream<Uint8Array>;
