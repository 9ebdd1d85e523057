import { isIP } from 'node:net';
import type { Request, Response } from 'express';
import { ipKeyGenerator, MemoryStore, type RateLimitInfo, rateLimit } from 'express-rate-limit';
import type { Log } from '../log.ts';

/** Counts wrong tokens by address, from the sign-in page and from requests alike. */
export interface FailedTokens {
  /** Counts one more. @returns how many seconds this address is blocked; 0 if it is not. */
  add(request: Request, response: Response): Promise<number>;
}

const ALLOWED = 10;
const WINDOW_SECONDS = 60;
/** Bounds the memory that an attacker with many addresses can use. */
const MOST_ADDRESSES = 10_000;

class BoundedStore extends MemoryStore {
  override async increment(key: string) {
    const full = this.current.size + this.previous.size >= MOST_ADDRESSES;
    if (full && (await this.get(key)) === undefined) await this.resetAll();
    return super.increment(key);
  }
}

/**
 * Call it only after a token has proved wrong: a correct token is never refused because of others at its
 * address. Every API process counts separately.
 */
export function createFailedTokens(log: Log): FailedTokens {
  const waits = new WeakMap<Request, number>();
  const complain = (error: unknown) => log.error({ event: 'token.limit-failed', err: error }, 'not counted');
  const limit = rateLimit({
    windowMs: WINDOW_SECONDS * 1000,
    limit: ALLOWED,
    store: new BoundedStore(),
    keyGenerator: networkAddress,
    // Answers to wrong tokens say how many more are allowed: `RateLimit` and `RateLimit-Policy`.
    standardHeaders: 'draft-8',
    identifier: 'wrong-tokens',
    legacyHeaders: false,
    // The operator chooses which headers to trust (TRUSTED_PROXIES), not the library.
    validate: { trustProxy: false, xForwardedForHeader: false, forwardedHeader: false },
    logger: { warn: complain, error: complain },
    handler: (request, _response, next) => {
      const { resetTime } = (request as Request & { rateLimit: RateLimitInfo }).rateLimit;
      const seconds = ((resetTime?.getTime() ?? Date.now()) - Date.now()) / 1000;
      waits.set(request, Math.max(1, Math.ceil(seconds)));
      next();
    },
  });
  return {
    add: async (request, response) => {
      await new Promise<void>((resolve, reject) => {
        limit(request, response, (error?: unknown) => (error === undefined ? resolve() : reject(error)));
      });
      const waitSeconds = waits.get(request) ?? 0;
      // Logs up to the block only, so that guessing cannot flood the log.
      if (waitSeconds === 0)
        log.warn({ event: 'token.refused', address: networkAddress(request) }, 'refused a wrong token');
      return waitSeconds;
    },
  };
}

/** An IPv6 network counts as one address, because a client with one of its addresses usually has all. */
function networkAddress(request: Request): string {
  const address = request.ip ?? '';
  return isIP(address) === 0 ? 'unknown' : ipKeyGenerator(address);
}
