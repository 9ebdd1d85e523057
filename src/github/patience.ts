import { RateLimitedError } from '../errors.ts';

/**
 * Keeps to what the other side has asked for: after an answer that asks for patience, no call is made until the time is over. GitHub shuts
 * out for longer those who go on meanwhile, and there are as many calls at once as operations.
 * @throws RateLimitedError instead of a call, with the time that is left
 */
export function createPatience(): <T>(call: () => Promise<T>) => Promise<T> {
  let until = 0;
  return async (call) => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    if (seconds > 0)
      throw new RateLimitedError(`GitHub has asked to be left alone for another ${seconds} s`, { seconds });
    try {
      return await call();
    } catch (error) {
      if (error instanceof RateLimitedError) until = Math.max(until, Date.now() + error.seconds * 1000);
      throw error;
    }
  };
}
