/** Counts the requests that the sandbox's Hetzner API answers. */
export interface RequestCounter {
  start(): Promise<{ end(): Promise<number> }>;
}

/**
 * Counts by the quota: every request takes one from it and every answer says what is left, as with the real API. The quota
 * refills by a constant rate meanwhile, which is added back; what is left is told in whole requests, so the count is right to one request.
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
  /** Requests an hour, and the most that the quota holds. */
  limit: number;
  remaining: number;
}

/** Requests between two looks, the second look's own included. Too few where the quota was full for a while. */
export function requestsBetween(before: QuotaReading, after: QuotaReading): number {
  const refilled = ((after.at - before.at) / 3_600_000) * after.limit;
  return before.remaining - after.remaining + refilled;
}
