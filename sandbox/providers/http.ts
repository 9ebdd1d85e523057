import { toMessage } from './failures.ts';
import { isRecord, type Properties } from './values.ts';

export interface Exchange {
  status: number;
  ok: boolean;
  headers: Headers;
  /** The answer's body, if it is a JSON object. */
  json: Properties | undefined;
}

/** The limit of Tailscale's official client; Hetzner's has none. */
const LONGEST_SILENCE_MS = 60_000;
/** Larger than any requested list; the official clients have no limit. */
const LARGEST_ANSWER_BYTES = 8 * 1024 * 1024;

/**
 * Sends one request and reads the whole answer.
 * @throws Error only if no answer came or the signal aborted
 */
export async function exchange(
  method: string,
  url: string,
  request: { headers: Record<string, string>; json?: Properties | undefined; form?: URLSearchParams },
  signal: AbortSignal,
): Promise<Exchange> {
  signal.throwIfAborted();
  const body = request.form ?? (request.json === undefined ? undefined : JSON.stringify(request.json));
  const headers = request.json === undefined ? {} : { 'content-type': 'application/json' };
  const silence = AbortSignal.timeout(LONGEST_SILENCE_MS);
  try {
    const answer = await fetch(url, {
      method,
      signal: AbortSignal.any([signal, silence]),
      headers: { ...headers, ...request.headers },
      ...(body === undefined ? {} : { body }),
    });
    const json = parseObject(await readText(answer));
    return { status: answer.status, ok: answer.ok, headers: answer.headers, json };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (silence.aborted)
      throw new Error(`${method} ${JSON.stringify(url)}: no answer within ${LONGEST_SILENCE_MS / 1000} s`);
    // fetch itself reports only that it failed; the cause holds the connection's error.
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    throw new Error(`${method} ${JSON.stringify(url)}: ${toMessage(cause)}`, { cause: error });
  }
}

async function readText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
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
