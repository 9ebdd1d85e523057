import type { z } from 'zod';
import { RetryableError } from '../errors.ts';

/** Size limit of an answer. A page of 50 servers has about 150 KB, a tailnet of 1,000 devices about 1 MB. */
export const ANSWER_BYTES = 8 * 1024 * 1024;
const LONGEST_TEXT = 500;

/** The answer is larger than any expected one; the rest was not read. */
export class AnswerTooLargeError extends RetryableError {
  override name = 'AnswerTooLargeError';
}

/**
 * Reads the text of a body of at most `limitBytes` after decompression. Leaving the loop closes the stream.
 * @throws AnswerTooLargeError
 */
export async function readText(body: AsyncIterable<Uint8Array>, limitBytes = ANSWER_BYTES): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > limitBytes) throw new AnswerTooLargeError(`the answer is larger than ${limitBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Parses JSON. @returns undefined for an empty text. @throws RetryableError for invalid JSON */
export function parseJson(text: string, from: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RetryableError(`${from} answered with invalid JSON`, { cause });
  }
}

/**
 * Checks an answer's shape. `from` names its sender in the error.
 * @throws RetryableError that names the invalid field, without any value
 */
export function parseAnswer<T>(schema: z.ZodType<T>, answer: unknown, from: string): T {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = issue === undefined || issue.path.length === 0 ? 'the answer' : issue.path.join('.');
  const message = `${from} sent an unexpected answer: ${path}: ${issue?.message ?? 'is not valid'}`;
  // The path may contain a name from the answer.
  throw new RetryableError(oneLine(message), { cause: parsed.error });
}

/** Prepares foreign text for a one-line message of ours. */
export function oneLine(text: unknown): string {
  if (typeof text !== 'string') return '';
  return text
    .slice(0, LONGEST_TEXT)
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
}
