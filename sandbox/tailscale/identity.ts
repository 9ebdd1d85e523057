import { createHash, randomBytes } from 'node:crypto';
import { randomText } from '../random-text.ts';

/** The tailnet's names. `-` means the tailnet of the credential. */
export const TAILNET_DOMAIN = 'tail5a4db0.ts.net';
export const TAILNET_NAMES: readonly string[] = ['-', 'sandbox', TAILNET_DOMAIN];

/** Owner of the API key. Keys that an OAuth client creates belong to the tailnet and have no user. */
export const SANDBOX_USER = { id: 'uSandboxCNTRL', loginName: 'operator@sandbox.example' };

/** The OAuth client's tags: it has the permissions of a device with these tags. */
export const OAUTH_CLIENT_TAGS: readonly string[] = ['tag:controller'];

/** What the OAuth client may do. */
export const OAUTH_CLIENT_SCOPES: readonly string[] = ['auth_keys', 'devices:core', 'policy_file'];

/** Returns a new id in Tailscale's form: `<prefix>…CNTRL`. */
export function controlId(prefix: string): string {
  return `${prefix}${randomText(10)}CNTRL`;
}

/** Hashes a secret for storage. */
export function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** Returns a random key in the form of a machine's or a node's public key. */
export function publicKey(kind: 'mkey' | 'nodekey'): string {
  return `${kind}:${randomBytes(32).toString('hex')}`;
}
