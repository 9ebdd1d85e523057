import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../secret.ts';

/** Makes and verifies tokens that vouch for one subject until they expire. */
export interface TokenSigner {
  /** @param validSeconds from now */
  sign(subject: string, validSeconds: number): string;
  /** Whether the token is ours, for this subject, and has not expired. */
  verify(subject: string, token: string): boolean;
}

/**
 * Creates a signer with a key of its own for each purpose, derived from a secret. A token for one purpose is
 * worthless for another, none reveals the secret, and every process with the same secret accepts it.
 */
export function createTokenSigner(secret: Secret, purpose: string): TokenSigner {
  const key = Buffer.from(hkdfSync('sha256', secret.reveal(), '', `agent-stacks ${purpose}`, 32));
  const signature = (subject: string, expires: string) =>
    createHmac('sha256', key).update(`${expires}.${subject}`).digest();
  return {
    sign: (subject, validSeconds) => {
      const expires = Math.floor(Date.now() / 1000 + validSeconds).toString(36);
      return `${expires}.${signature(subject, expires).toString('base64url')}`;
    },
    verify: (subject, token) => {
      const [, expires, given] = /^([0-9a-z]{1,10})\.([\w-]{43})$/.exec(token) ?? [];
      if (expires === undefined || given === undefined) return false;
      if (!timingSafeEqual(Buffer.from(given, 'base64url'), signature(subject, expires))) return false;
      return Number.parseInt(expires, 36) > Date.now() / 1000;
    },
  };
}
