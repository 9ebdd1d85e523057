import {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestOptions,
  request as requestInClear,
} from 'node:http';
import { request as requestByTls } from 'node:https';
import { toMessage } from './failures.ts';
import { isRecord, type Properties } from './values.ts';

export interface Exchange {
  status: number;
  ok: boolean;
  headers: IncomingHttpHeaders;
  /** The answer's body, if it is a JSON object. */
  json: Properties | undefined;
}

/** The limit of Tailscale's official client; Hetzner's has none. */
const LONGEST_SILENCE_MS = 60_000;
/** Larger than any requested list; the official clients have no limit. */
const LARGEST_ANSWER_BYTES = 8 * 1024 * 1024;

/**
 * Sends one request and reads the whole answer. Not with `fetch`, whose implementation every engine process
 * would load for half a dozen requests.
 * @throws Error only if no answer came or the signal aborted
 */
export async function exchange(
  method: string,
  url: string,
  request: { headers: Record<string, string>; json?: Properties | undefined; form?: URLSearchParams },
  signal: AbortSignal,
): Promise<Exchange> {
  signal.throwIfAborted();
  const { type, body } = toBody(request);
  const headers = { ...(type === undefined ? {} : { 'content-type': type }), ...request.headers };
  const silence = AbortSignal.timeout(LONGEST_SILENCE_MS);
  try {
    const answer = await send(url, { method, headers, signal: AbortSignal.any([signal, silence]) }, body);
    const status = answer.statusCode ?? 0;
    const json = parseObject(await readText(answer));
    return { status, ok: status >= 200 && status < 300, headers: answer.headers, json };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (silence.aborted)
      throw new Error(`${method} ${JSON.stringify(url)}: no answer within ${LONGEST_SILENCE_MS / 1000} s`);
    throw new Error(`${method} ${JSON.stringify(url)}: ${toMessage(error)}`, { cause: error });
  }
}

function toBody({ json, form }: { json?: Properties | undefined; form?: URLSearchParams }): {
  type?: string;
  body?: string;
} {
  if (form !== undefined) return { type: 'application/x-www-form-urlencoded', body: form.toString() };
  return json === undefined ? {} : { type: 'application/json', body: JSON.stringify(json) };
}

async function send(
  url: string,
  options: RequestOptions,
  body: string | undefined,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = new URL(url).protocol === 'https:' ? requestByTls : requestInClear;
  request(url, options, resolve)
    .on('error', reject)
    // An answer that switches protocols is neither an answer nor an error to Node.
    .on('close', () => reject(new Error('the connection was closed before an answer')))
    .end(body);
  return promise;
}

async function readText(answer: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > LARGEST_ANSWER_BYTES) throw new Error(`more than ${LARGEST_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parseObject(content: string): Properties | undefined {
  try {
    const value: unknown = JSON.parse(content);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
