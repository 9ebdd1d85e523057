import Stripe from 'stripe';
import { errorMessage, InvalidInputError } from '../errors.ts';
import type { Secret } from '../secret.ts';

const TOLERANCE_SECONDS = 300;

/**
 * Verifies a `Stripe-Signature` header against the raw body with each of the secrets. There are several while
 * a secret is being rolled.
 * @returns the body's text, exactly as it was signed
 * @throws InvalidInputError that says what is wrong with the signature
 */
export function verifyStripeSignature(
  rawBody: Buffer,
  headers: readonly string[],
  secrets: readonly Secret[],
): string {
  const header = wellFormedHeader(headers);
  const text = decode(rawBody);
  const refusals: string[] = [];
  for (const secret of secrets) {
    try {
      Stripe.webhooks.signature!.verifyHeader(text, header, secret.reveal(), TOLERANCE_SECONDS);
      refuseFuture(header);
      return text;
    } catch (error) {
      // The first sentence of the library's message is the reason; debugging advice follows.
      refusals.push(errorMessage(error).split(/[\n.]/)[0] ?? '');
    }
  }
  // If the signature matches one of the secrets, its age is the problem.
  const refusal = refusals.find((text) => text.startsWith('Timestamp')) ?? refusals[0];
  throw new InvalidInputError(`Stripe-Signature: ${refusal ?? 'no webhook secret is configured'}`);
}

/** Rejects future timestamps, which the library accepts: one would keep a signature valid indefinitely. */
function refuseFuture(header: string): void {
  const [, time] = /(?:^|,)\s*t=(\d+)/.exec(header) ?? [];
  if (Number(time) - Date.now() / 1000 > TOLERANCE_SECONDS)
    throw new Error('Timestamp outside the tolerance zone: it is in the future');
}

/**
 * Accepts a single header with one timestamp and distinct signatures. Stripe sends several signatures while a
 * secret is being rolled.
 */
function wellFormedHeader(headers: readonly string[]): string {
  const [header] = headers;
  if (header === undefined || header === '') throw new InvalidInputError('Stripe-Signature is missing');
  if (headers.length > 1) throw new InvalidInputError('Stripe-Signature was sent more than once');
  const items = header.split(',');
  const times = items.filter((item) => item.trim().startsWith('t='));
  const signatures = items.map((item) => item.trim()).filter((item) => item.startsWith('v1='));
  if (
    times.length !== 1 ||
    !/^t=\d{1,12}$/.test(times[0] ?? '') ||
    !signatures.every((item) => item.length > 3) ||
    signatures.length === 0
  ) {
    throw new InvalidInputError('Stripe-Signature is malformed: expected one t=… and v1=…');
  }
  if (new Set(signatures).size !== signatures.length) {
    throw new InvalidInputError('Stripe-Signature contains the same signature twice');
  }
  return header;
}

/** Decodes the exact bytes: the library would drop a byte order mark and replace invalid UTF-8. */
function decode(rawBody: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(rawBody);
  } catch (error) {
    throw new InvalidInputError('The body is not UTF-8', { cause: error });
  }
}
