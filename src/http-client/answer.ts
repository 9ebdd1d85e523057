import type { z } from 'zod';
import { RetryableError } from '../errors.ts';

/** What is read of one answer: a page of 50 servers has about 150 KB, a tailnet of 1,000 devices about 1 MB. */
export const ANSWER_BYTES = 8 * 1024 * 1024;
const LONGEST_TEXT = 500;

/** An answer that is larger than any we ask for; the rest of it was not read. */
export class AnswerTooLargeError extends RetryableError {
  override name = 'AnswerTooLargeError';
}

/**
 * The text of a body that is read up to `limitBytes`, as it is after decompression. Leaving the loop closes
 * the stream.
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

/** @throws RetryableError where it is no JSON; an empty text is undefined. */
export function parseJson(text: string, from: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RetryableError(`${from} answered something that is not JSON`, { cause });
  }
}

/**
 * An answer as the shape that we rely on. `from` names who gave it.
 * @throws RetryableError that says where it differs, without a value
 */
export function parseAnswer<T>(schema: z.ZodType<T>, answer: unknown, from: string): T {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue === undefined || issue.path.length === 0 ? 'the answer' : issue.path.join('.');
  const message = `${from} answered something unexpected: ${place}: ${issue?.message ?? 'is not valid'}`;
  // The place may be a name that the answer chose.
  throw new RetryableError(oneLine(message), { cause: parsed.error });
}

/** What others say, as a piece of one line of a message of ours. */
export function oneLine(text: unknown): string {
  if (typeof text !== 'string') return '';
  return text
    .slice(0, LONGEST_TEXT)
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
}
