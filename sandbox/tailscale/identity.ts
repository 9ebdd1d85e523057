import { createHash, randomBytes } from 'node:crypto';
import { randomText } from '../random-text.ts';

/** The tailnet's names: `-` means the one that the credential belongs to. */
export const tailnetDomain = 'tail5a4db0.ts.net';
export const tailnetNames: readonly string[] = ['-', 'sandbox', tailnetDomain];

/** Who the API key belongs to. What an OAuth client makes belongs to the tailnet: no user. */
export const sandboxUser = { id: 'uSandboxCNTRL', loginName: 'operator@sandbox.example' };

/** The tags that the OAuth client was made with: it acts as devices that have them would. */
export const oauthClientTags: readonly string[] = ['tag:controller'];

/** An id in the form of Tailscale's: `<prefix>…CNTRL`. */
export function controlId(prefix: string): string {
  return `${prefix}${randomText(10)}CNTRL`;
}

export function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

export function publicKey(kind: 'mkey' | 'nodekey'): string {
  return `${kind}:${randomBytes(32).toString('hex')}`;
}
