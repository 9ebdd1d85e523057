import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../../secret.ts';

/** Authenticates runners: a shared secret signs callbacks, and a token identifies each attempt. */

/** The value of the header `X-Signature`: the body's HMAC-SHA256 in hex. */
export function signBody(secret: Secret, body: string | Buffer): string {
  return createHmac('sha256', secret.reveal()).update(body).digest('hex');
}

/** Compares a hex text with a digest, in constant time. */
export function isDigest(given: string | undefined, digest: Buffer): boolean {
  if (given === undefined || !/^[0-9a-f]{64}$/i.test(given)) return false;
  return timingSafeEqual(Buffer.from(given, 'hex'), digest);
}

export interface AttemptName {
  operationId: string;
  attempt: number;
}

/**
 * Creates the token that identifies an attempt in its callback URL, so that earlier attempts cannot report
 * for it. Uses a separate key, derived from the secret.
 */
export function attemptToken(secret: Secret, attempt: AttemptName): string {
  return attemptDigest(secret, attempt).toString('hex');
}

export function isAttemptToken(secret: Secret, attempt: AttemptName, given: string): boolean {
  return isDigest(given, attemptDigest(secret, attempt));
}

function attemptDigest(secret: Secret, { operationId, attempt }: AttemptName): Buffer {
  const key = Buffer.from(hkdfSync('sha256', secret.reveal(), '', 'agent-stacks attempt', 32));
  return createHmac('sha256', key).update(`${operationId}.${attempt}`).digest();
}
