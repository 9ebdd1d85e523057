import type { Keyring } from './keyring.ts';
import { openText, type SealingKey, sealedWith, sealText } from './sealed-text.ts';

/**
 * Seals a value with another key. One that has this key stays as it is.
 * @throws UnknownKeyError; Error if it cannot be opened
 */
export function reseal(keyring: Keyring, key: SealingKey, id: string, sealed: Buffer): Buffer {
  if (sealedWith(sealed) === key.id) return sealed;
  return sealText(key, id, openText(keyring.all, id, sealed));
}
