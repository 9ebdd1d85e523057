import { RetryableError } from '../errors.ts';
import { observeCall, type Vendor } from '../telemetry/observations.ts';
import { readText } from './answer.ts';
import { withDeadline } from './deadline.ts';

/** Observes every call of a client, e.g. to enforce a budget. */
export interface CallWatch {
  /** Called before the call; an error thrown here prevents it. */
  begins(): void;
  /** Called with the answer's headers, regardless of its status. */
  answered(headers: Headers): void;
}

/** Limits of a client's calls. */
export interface CallLimits {
  /** For a whole call, redirects included; default 20. */
  timeoutSeconds?: number | undefined;
}

export interface HttpCall extends CallLimits {
  method: string;
  url: string;
  headers: Record<string, string>;
  body?: string | undefined;
  signal?: AbortSignal | undefined;
  watch?: CallWatch | undefined;
  /** Whose API it is, if its calls are to be counted. */
  vendor?: Vendor | undefined;
  /** Which of the vendor's accounts, where each has a quota of its own. */
  account?: string | undefined;
  /** How many redirects within the origin are followed; default 3. */
  redirects?: number | undefined;
}

export interface HttpAnswer {
  status: number;
  headers: Headers;
  text: string;
}

const TIMEOUT_SECONDS = 20;
/** GitHub redirects after a repository is renamed. */
const MOST_REDIRECTS = 3;

/**
 * Makes one HTTP call, bounded in time and size, so that it ends whatever the other side does. Follows
 * redirects within the same origin only.
 * @throws RetryableError if no answer came, or one that is too large; the signal's reason; the watch's error
 */
export async function exchange(call: HttpCall): Promise<HttpAnswer> {
  const { method, url, signal, timeoutSeconds = TIMEOUT_SECONDS } = call;
  try {
    return await withDeadline({ seconds: timeoutSeconds, signal }, (own) => followRedirects(call, own));
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof NoAnswer) && !(error instanceof RetryableError)) throw error;
    const cause = error instanceof NoAnswer ? error.cause : error;
    throw new RetryableError(`${method} ${new URL(url).origin}: no answer (${reason(cause)})`, { cause });
  }
}

/** Wraps the reason for a missing answer, to tell it from an error of the watch. */
class NoAnswer extends Error {}

async function followRedirects(call: HttpCall, signal: AbortSignal): Promise<HttpAnswer> {
  const { method, headers, body, watch, redirects: mostRedirects = MOST_REDIRECTS } = call;
  for (let url = call.url, redirects = 0; ; redirects += 1) {
    watch?.begins();
    try {
      const response = await observed(call, () =>
        fetch(url, {
          method,
          headers,
          ...(body === undefined ? {} : { body }),
          redirect: 'manual',
          signal,
        }),
      );
      watch?.answered(response.headers);
      const text = response.body === null ? '' : await readText(response.body);
      const next = redirects < mostRedirects ? redirectTarget(response, url, method) : undefined;
      if (next === undefined) return { status: response.status, headers: response.headers, text };
      url = next;
    } catch (cause) {
      throw new NoAnswer('', { cause });
    }
  }
}

/** Counts a call of a vendor's API, and how long its answer took to begin. */
async function observed(
  { vendor, account, method }: HttpCall,
  send: () => Promise<Response>,
): Promise<Response> {
  if (vendor === undefined) return send();
  const begun = performance.now();
  let answer: Response | undefined;
  try {
    answer = await send();
    return answer;
  } finally {
    const seconds = (performance.now() - begun) / 1000;
    observeCall({ vendor, account, method, status: answer?.status, seconds, headers: answer?.headers });
  }
}

/** Returns the redirect's target if method, body and credentials may be sent there: same origin only. */
function redirectTarget({ status, headers }: Response, url: string, method: string): string | undefined {
  const keepsMethod = status === 307 || status === 308;
  if (!keepsMethod && !(method === 'GET' && [301, 302, 303].includes(status))) return undefined;
  const location = headers.get('location');
  if (location === null || !URL.canParse(location, url)) return undefined;
  const next = new URL(location, url);
  return next.origin === new URL(url).origin ? next.href : undefined;
}

function reason(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error ? cause.message : String(cause);
}
