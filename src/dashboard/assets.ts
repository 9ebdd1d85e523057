import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folder of the style sheets and scripts. */
export const ASSETS = fileURLToPath(new URL('./assets', import.meta.url));

/**
 * Returns an asset's address, with a hash of its content: browsers keep it for good, and a new version of the
 * service is seen at once.
 */
export function assetUrl(name: string): string {
  const hash = createHash('sha256')
    .update(readFileSync(`${ASSETS}/${name}`))
    .digest('base64url');
  return `/assets/${name}?v=${hash.slice(0, 12)}`;
}
