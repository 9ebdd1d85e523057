import { RateLimitedError } from '../errors.ts';

/**
 * Honours GitHub's rate limits: after a rate-limited answer, makes no call until the given time has passed.
 * GitHub bans clients for longer if they keep calling, and concurrent operations would all do so.
 * @throws RateLimitedError instead of calling, with the remaining time
 */
export function createPatience(): <T>(call: () => Promise<T>) => Promise<T> {
  let until = 0;
  return async (call) => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    if (seconds > 0)
      throw new RateLimitedError(`GitHub's rate limit lasts for another ${seconds} s`, { seconds });
    try {
      return await call();
    } catch (error) {
      if (error instanceof RateLimitedError) until = Math.max(until, Date.now() + error.seconds * 1000);
      throw error;
    }
  };
}
