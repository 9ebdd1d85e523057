import { AsyncLocalStorage } from 'node:async_hooks';

/** The clock of everything that belongs to no test clock of Stripe's. */
export const SANDBOX_CLOCK = '';

/** A business time, and the clock that shows it: the sandbox's own, or a test clock by its id. */
export interface Moment {
  at: Date;
  clock: string;
}

const moments = new AsyncLocalStorage<Moment>();

/**
 * Runs work at a business time. One transaction is one moment, whatever it calls, and what falls due in the
 * middle of a jump sees its own time; handing the time to every function that builds an object would make
 * each of them say what all of them share.
 */
export function runAt<T>(moment: Moment, work: () => Promise<T>): Promise<T> {
  return moments.run(moment, work);
}

/** Returns the moment of the current work. @throws Error outside of `runAt` */
export function currentMoment(): Moment {
  const moment = moments.getStore();
  if (moment === undefined) throw new Error('This needs a business time: run it within runAt');
  return moment;
}
