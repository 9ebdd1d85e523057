import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../../secret.ts';

/**
 * What a runner and the service know of each other: the secret under which callbacks are signed, and a token
 * for each attempt.
 */

/** Hex HMAC-SHA256 of a body, as the header `X-Signature` carries it. */
export function signBody(secret: Secret, body: string | Buffer): string {
  return createHmac('sha256', secret.reveal()).update(body).digest('hex');
}

/** Whether a text is this digest in hex. How long it takes says nothing about how much of it is right. */
export function isDigest(given: string | undefined, digest: Buffer): boolean {
  if (given === undefined || !/^[0-9a-f]{64}$/i.test(given)) return false;
  return timingSafeEqual(Buffer.from(given, 'hex'), digest);
}

export interface AttemptName {
  operationId: string;
  attempt: number;
}

/**
 * Names one attempt in a callback's address, so that an earlier attempt's cannot pass for it. Signed with a
 * key of its own.
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
