import { setTimeout as wait } from 'node:timers/promises';
import type { Database } from '../../database/connect.ts';
import { createWakeUp, type WakeUp } from '../../processes/wake-up.ts';
import { type EventHub, PAGES_KEY } from './event-hub.ts';
import { type FeedEvent, openFeed } from './feed.ts';

/** An event of an operation; or that something else has changed that pages show. */
export type News = FeedEvent | 'change';

/** What one listener hears, from when it began to listen. */
export interface Listener {
  /**
   * Waits for news. Undefined: there are none any more, because the signal was aborted, the database could
   * not be read, or this listener was too slow. Whoever listens again must read again what it shows.
   */
  next(signal: AbortSignal): Promise<readonly News[] | undefined>;
  close(): void;
}

/** The feed of all operations, read once for all who listen in this process. */
export interface SharedFeed {
  /** @throws Error if the database cannot be read */
  listen(): Promise<Listener>;
}

const LOOK_ANYWAY_MS = 10_000;
/** Log lines also wake the reader, and come in bursts. */
const GATHER_MS = 100;
/** So much news waits for a slow listener before it is cut off. */
const MOST_WAITING = 2_000;

/** Creates a feed that reads only while somebody listens. */
export function createSharedFeed(deps: {
  database: Database;
  events: Pick<EventHub, 'subscribe'>;
}): SharedFeed {
  let reading: Reading | undefined;
  return {
    listen: async () => {
      if (reading === undefined || reading.isOver) reading = new Reading(deps);
      return reading.add();
    },
  };
}

/** One reader with those who listen to it. It ends with the last of them, or when it cannot read. */
class Reading {
  readonly #listeners = new Set<QueuedListener>();
  readonly #stop = new AbortController();
  readonly #wakeUp = createWakeUp();
  readonly #woken = { operationIds: new Set<string>(), any: false, pages: false };
  readonly #opened = Promise.withResolvers<void>();

  constructor({ database, events }: Parameters<typeof createSharedFeed>[0]) {
    // Before the feed is opened: whatever is notified from then on is read.
    const unsubscribe = [
      events.subscribe('*', (operationId) => {
        if (operationId === undefined) this.#woken.any = true;
        else this.#woken.operationIds.add(operationId);
        this.#wakeUp.wake();
      }),
      events.subscribe(PAGES_KEY, () => {
        this.#woken.pages = true;
        this.#wakeUp.wake();
      }),
    ];
    this.#opened.promise.catch(() => {});
    void this.#read(database)
      .catch((error) => this.#opened.reject(error))
      .finally(() => {
        this.#stop.abort();
        for (const end of unsubscribe) end();
        for (const listener of this.#listeners) listener.end();
      });
  }

  get isOver(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Counts the listener from now on, so that the reader does not end while it opens. */
  async add(): Promise<Listener> {
    const listener = new QueuedListener(() => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stop.abort();
    });
    this.#listeners.add(listener);
    try {
      await this.#opened.promise;
      return listener;
    } catch (error) {
      listener.close();
      throw error;
    }
  }

  async #read(database: Database): Promise<void> {
    const { signal } = this.#stop;
    const feed = await openFeed(database);
    this.#opened.resolve();
    while (!signal.aborted) {
      await this.#wakeUp.sleep(LOOK_ANYWAY_MS, signal);
      await wait(GATHER_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      const { operationIds, pages, any } = this.#woken;
      const wanted = any || (operationIds.size === 0 && !pages) ? 'any' : [...operationIds];
      Object.assign(this.#woken, { operationIds: new Set(), any: false, pages: false });
      const found: News[] = await feed.next(wanted);
      if (pages) found.push('change');
      for (const listener of this.#listeners) listener.tell(found);
    }
  }
}

class QueuedListener implements Listener {
  readonly #wakeUp: WakeUp = createWakeUp();
  readonly #leave: () => void;
  #waiting: News[] = [];
  #isOver = false;

  constructor(leave: () => void) {
    this.#leave = leave;
  }

  tell(news: readonly News[]): void {
    if (news.length === 0) return;
    this.#waiting.push(...news);
    if (this.#waiting.length > MOST_WAITING) this.close();
    this.#wakeUp.wake();
  }

  async next(signal: AbortSignal): Promise<readonly News[] | undefined> {
    while (this.#waiting.length === 0 && !this.#isOver && !signal.aborted)
      await this.#wakeUp.sleep(LOOK_ANYWAY_MS, signal);
    if (this.#isOver || signal.aborted) return undefined;
    const news = this.#waiting;
    this.#waiting = [];
    return news;
  }

  end(): void {
    this.#isOver = true;
    this.#wakeUp.wake();
  }

  close(): void {
    this.end();
    this.#waiting = [];
    this.#leave();
  }
}
