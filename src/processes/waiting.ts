/** The process was stopped before it had started. */
export class StoppedError extends Error {
  override name = 'StoppedError';

  constructor() {
    super('stopped while it was starting');
  }
}

/** Where a start reports what it waits for, and the signal that ends it. */
export interface Waiter {
  say(line: string): void;
  signal?: AbortSignal | undefined;
}

const FIRST_WORD_MS = 3_000;
const NEXT_WORD_MS = 15_000;

/**
 * Waits for a part of the start. Once it takes long, reports what it waits for, and the reason if `cause`
 * returns one. The signal ends the wait immediately, even if the work continues.
 * @throws StoppedError
 */
export async function waitFor<T>(
  what: string,
  work: Promise<T>,
  { say, signal }: Waiter,
  cause: () => string | undefined = () => undefined,
): Promise<T> {
  const startedAt = Date.now();
  let timer: NodeJS.Timeout;
  const tell = () => {
    const why = cause();
    const seconds = Math.round((Date.now() - startedAt) / 1000);
    say(`Waiting for ${what} (${seconds} s${why === undefined ? '' : `; ${why}`})`);
    timer = setTimeout(tell, NEXT_WORD_MS);
  };
  timer = setTimeout(tell, FIRST_WORD_MS);
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(new StoppedError());
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort);
  // After the wait is over, nothing handles these rejections.
  work.catch(() => {});
  stopped.catch(() => {});
  try {
    return await Promise.race([stopped, work]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
