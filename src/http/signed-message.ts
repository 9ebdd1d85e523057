import { createHmac } from 'node:crypto';
import type { Request, Response } from 'express';
import { errorMessage, InvalidInputError, RetryableError } from '../errors.ts';
import { isDigest } from '../executors/github-actions/callback-signature.ts';
import type { Log } from '../log.ts';
import type { Secret } from '../secret.ts';
import type { HttpDeps } from './deps.ts';
import { HttpError, toRefusal } from './problem.ts';

/**
 * How much of a body is kept. A larger one is still read, so that its signature can be checked before it is
 * refused for its size.
 */
const KEPT_BYTES = 1024 * 1024;
const READ_BYTES = 8 * 1024 * 1024;

/**
 * Reads a body and checks `X-Signature` on its raw bytes, before parsing them.
 * @returns the parsed JSON.
 * @throws HttpError 401 for any wrong signature, 413 for a signed body that is too large; InvalidInputError
 * if it is not JSON.
 */
export async function readSignedJson(request: Request, secret: Secret | undefined): Promise<unknown> {
  const { bytes, size, digest } = await readDigested(request, secret);
  const headers = request.headersDistinct['x-signature'] ?? [];
  const isSigned = headers.length === 1 && isDigest(headers[0], digest);
  if (secret === undefined || !isSigned) throw new HttpError(401, 'Invalid signature');
  if (size > KEPT_BYTES) throw new HttpError(413, `The body is larger than ${KEPT_BYTES} bytes`);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    throw new InvalidInputError('The body is not JSON', { cause: error });
  }
}

async function readDigested(request: Request, secret: Secret | undefined) {
  const hmac = createHmac('sha256', secret?.reveal() ?? '');
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > READ_BYTES) throw new HttpError(401, 'Invalid signature', { connection: 'close' });
      hmac.update(chunk);
      if (size <= KEPT_BYTES) chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof HttpError) throw error;
    throw new HttpError(400, 'The body is incomplete', { connection: 'close' });
  }
  return { bytes: Buffer.concat(chunks), size, digest: hmac.digest() };
}

/**
 * If a second proof is required, checks the identity token in `Authorization`: it must belong to the workflow
 * run that the message names. @throws HttpError 401 with the reason, 503 if the issuer's keys cannot be
 * fetched
 */
export async function requireIdentity(
  request: Request,
  remote: HttpDeps['remote'],
  runId: string | undefined,
): Promise<void> {
  if (remote?.checkIdentity === undefined) return;
  const [, token] = /^Bearer +(\S+)$/i.exec(request.get('authorization') ?? '') ?? [];
  if (token === undefined) throw new HttpError(401, 'The identity token is missing');
  const refusal = await remote.checkIdentity(token, runId).catch((error: unknown) => {
    if (!(error instanceof RetryableError)) throw error;
    throw new HttpError(503, error.message, { 'retry-after': '10' });
  });
  if (refusal !== undefined) throw new HttpError(401, `The identity token ${refusal}`);
}

/** Returns the attempt's token from a callback's address; an empty one counts as none. */
export function readAttemptToken(request: Request): string | undefined {
  const { token } = request.query;
  if (token === undefined || token === '') return undefined;
  // A repeated or non-text token matches no attempt.
  return typeof token === 'string' ? token : 'malformed';
}

/** Errors here are one sentence, for a shell to print. */
export function refuse(response: Response, log: Log, error: unknown): void {
  const { status, detail, headers } = toRefusal(
    error instanceof RetryableError ? new HttpError(503, error.message, { 'retry-after': '5' }) : error,
  );
  log[status >= 500 ? 'error' : 'warn'](
    { event: 'callback.refused', status, reason: detail, error: errorMessage(error) },
    'refused a message of a runner',
  );
  if (!response.headersSent) response.status(status).set(headers).json({ error: detail });
}
