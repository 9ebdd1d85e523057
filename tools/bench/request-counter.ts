/** Counts the requests answered by the sandbox's Hetzner API. */
export interface RequestCounter {
  start(): Promise<{ end(): Promise<number> }>;
}

/**
 * Counts by the quota: every request uses one unit and every answer reports the rest, as in the real API. The
 * quota meanwhile refills at a constant rate, which is added back. The reported rest is a whole number, so
 * the count is accurate to one request.
 */
export function createRequestCounter(hcloud: { endpoint: string; token: string }): RequestCounter {
  const look = async () => {
    const response = await fetch(`${hcloud.endpoint}/locations`, {
      headers: { authorization: `Bearer ${hcloud.token}` },
    });
    await response.body?.cancel();
    const read = (name: string) => Number(response.headers.get(name));
    return { at: performance.now(), limit: read('ratelimit-limit'), remaining: read('ratelimit-remaining') };
  };
  return {
    start: async () => {
      const before = await look();
      return {
        end: async () => {
          const after = await look();
          return requestsBetween(before, after) - 1;
        },
      };
    },
  };
}

interface QuotaReading {
  /** Milliseconds. */
  at: number;
  /** Requests an hour, and the maximum of the quota. */
  limit: number;
  remaining: number;
}

/**
 * Requests between two readings, including the second reading's own. Too low if the quota was full for a
 * while.
 */
export function requestsBetween(before: QuotaReading, after: QuotaReading): number {
  const refilled = ((after.at - before.at) / 3_600_000) * after.limit;
  return before.remaining - after.remaining + refilled;
}
