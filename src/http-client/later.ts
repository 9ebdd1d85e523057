/** For quotas that refill every second: after a minute they suffice for a whole attempt. */
const LEAST_SECONDS = 60;
/** Quotas are hourly. Longer waits are capped, since the answer may come from anything on the path. */
const LONGEST_SECONDS = 3600;

/**
 * Returns how many seconds an answer asks to wait, from 1 to 3600; undefined if it does not ask.
 *
 * - 429 from any API, and GitHub's 403 for its limits (with `retry-after`, with nothing remaining, or only
 *   with a message that says so): at least a minute.
 * - `retry-after` in seconds or as a date, also with a 503.
 * - `x-ratelimit-reset` (GitHub): when the quota is available again. `ratelimit-reset` (Hetzner): when it is
 *   *full* again; a minute is enough.
 * @see
 * https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#handle-rate-limit-errors-appropriately
 * @see https://docs.hetzner.cloud/reference/cloud#rate-limiting
 */
export function laterSeconds(
  { status, headers, message }: { status: number; headers: Headers; message: string },
  now = Date.now(),
): number | undefined {
  const asked = retryAfter(headers.get('retry-after'), now);
  if (status === 503) return asked === undefined ? undefined : within(asked, 1);
  const isLimit =
    status === 429 ||
    (status === 403 &&
      (asked !== undefined ||
        headers.get('x-ratelimit-remaining') === '0' ||
        /secondary rate limit|abuse detection/i.test(message)));
  if (!isLimit) return undefined;
  if (asked !== undefined) return within(asked, LEAST_SECONDS);
  const full = secondsUntil(headers.get('ratelimit-reset'), now);
  if (full !== undefined) return Math.min(within(full, 1), LEAST_SECONDS);
  const left = headers.get('x-ratelimit-remaining');
  const reset =
    left === null || left === '0' ? secondsUntil(headers.get('x-ratelimit-reset'), now) : undefined;
  return within(reset ?? 0, LEAST_SECONDS);
}

function within(seconds: number, least: number): number {
  return Math.min(Math.max(Math.ceil(seconds), least), LONGEST_SECONDS);
}

/** Parses the header's seconds or date. @see https://www.rfc-editor.org/rfc/rfc9110#field.retry-after */
function retryAfter(text: string | null, now: number): number | undefined {
  if (text === null) return undefined;
  if (/^\s*\d+\s*$/.test(text)) return Number(text);
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - now) / 1000);
}

function secondsUntil(unixSeconds: string | null, now: number): number | undefined {
  if (unixSeconds === null || !/^\d+$/.test(unixSeconds)) return undefined;
  return Math.max(0, Number(unixSeconds) - now / 1000);
}
