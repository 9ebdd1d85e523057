import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { errorMessage } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { Secret } from '../../secret.ts';
import { CLAIMS_CHANNEL } from '../../slots/claim.ts';
import { EVENTS_CHANNEL } from './events.ts';

/** Called when an operation may have new events; with `undefined` if any operation may have. */
export type Wake = (operationId: string | undefined) => void;

/** Wakes subscribers when there may be new events. They read the events themselves from the table. */
export interface EventHub {
  /**
   * `*` subscribes to all operations, `WORK_KEY` to other work, `PAGES_KEY` to what pages show besides.
   * @returns a function that unsubscribes
   */
  subscribe(operationId: string | '*', wake: Wake): () => void;
  close(): Promise<void>;
}

/** The key of those who want to know that there may be something to do, besides operations. */
export const WORK_KEY = ' work';
/** The key of those who hand over slots. They are woken with the id of a provision. */
export const CLAIMS_KEY = ' claims';
/** The key of those who want to know that somebody may have lost a token, a session or a role. */
export const PEOPLE_KEY = ' people';
/** The key of those who show what changes without an operation: an agent's health, a breaker, a finding. */
export const PAGES_KEY = ' pages';
/** Triggers of the database notify these (migrations 0018, 0031 and 0034). */
const PEOPLE_CHANNEL = 'people_changed';
const WORK_CHANNEL = 'work_waits';
const PAGES_CHANNEL = 'pages_changed';

/**
 * A connection that only listens cannot tell a server that is gone from one that has nothing to say, so it
 * asks now and then.
 */
const CHECKS = { intervalMs: 10_000, timeoutMs: 5_000 };
const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 5_000;

/**
 * Listens for new events on one connection per process. After each reconnect it wakes all subscribers,
 * because notifications may have been missed. Starting does not wait for the database.
 */
export function createEventHub({
  url,
  log,
  checks = CHECKS,
}: {
  url: Secret;
  log: Log;
  checks?: typeof CHECKS;
}): EventHub {
  const subscribers = new Map<string, Set<Wake>>();
  const stopping = new AbortController();
  const wakeAll = (key: string, operationId: string | undefined) => {
    for (const wake of subscribers.get(key) ?? []) wake(operationId);
  };
  const listening = keepListening({
    url,
    log,
    checks,
    signal: stopping.signal,
    onEvent: (operationId) => {
      wakeAll(operationId, operationId);
      wakeAll('*', operationId);
    },
    onWork: () => wakeAll(WORK_KEY, undefined),
    onClaim: (operationId) => wakeAll(CLAIMS_KEY, operationId),
    onPeople: () => wakeAll(PEOPLE_KEY, undefined),
    onPages: () => wakeAll(PAGES_KEY, undefined),
    onConnected: () => {
      for (const key of [...subscribers.keys()]) wakeAll(key, undefined);
    },
  });
  return {
    subscribe: (operationId, wake) => {
      const wakes = subscribers.get(operationId) ?? new Set();
      subscribers.set(operationId, wakes.add(wake));
      return () => {
        wakes.delete(wake);
        if (wakes.size === 0 && subscribers.get(operationId) === wakes) subscribers.delete(operationId);
      };
    },
    close: async () => {
      stopping.abort();
      await listening;
    },
  };
}

interface Listening {
  url: Secret;
  log: Log;
  checks: typeof CHECKS;
  signal: AbortSignal;
  onEvent(operationId: string): void;
  onWork(): void;
  onClaim(operationId: string): void;
  onPeople(): void;
  onPages(): void;
  onConnected(): void;
}

async function keepListening(options: Listening): Promise<void> {
  const { log, signal } = options;
  let delayMs = FIRST_DELAY_MS;
  while (!signal.aborted) {
    try {
      await listenOnce(options, () => {
        delayMs = FIRST_DELAY_MS;
      });
    } catch (error) {
      if (signal.aborted) return;
      log.warn(
        { event: 'events.disconnected', error: errorMessage(error), retryInMs: delayMs },
        'lost the connection that listens for events',
      );
    }
    await wait(delayMs, undefined, { signal }).catch(() => {});
    delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS);
  }
}

/** Listens until the connection ends. */
async function listenOnce(options: Listening, onUp: () => void): Promise<void> {
  const { signal, checks } = options;
  const over = new AbortController();
  const client = new pg.Client({
    connectionString: options.url.reveal(),
    application_name: 'agent-stacks events',
    connectionTimeoutMillis: 4_000,
    query_timeout: checks.timeoutMs,
    keepAlive: true,
  });
  const { promise: ended, resolve: end, reject: fail } = Promise.withResolvers<void>();
  // An error may come before the await below; unhandled, it would end the process.
  ended.catch(() => {});
  client.once('end', end);
  client.on('error', fail);
  signal.addEventListener('abort', () => end(), { once: true, signal: over.signal });
  client.on('notification', ({ channel, payload }) => {
    if (channel === WORK_CHANNEL) options.onWork();
    else if (channel === PAGES_CHANNEL) options.onPages();
    else if (channel === CLAIMS_CHANNEL) options.onClaim(payload ?? '');
    else if (channel === PEOPLE_CHANNEL) options.onPeople();
    else if (payload) options.onEvent(payload);
  });
  try {
    await client.connect();
    await client.query(`listen ${EVENTS_CHANNEL}`);
    await client.query(`listen ${WORK_CHANNEL}`);
    await client.query(`listen ${PAGES_CHANNEL}`);
    await client.query(`listen ${CLAIMS_CHANNEL}`);
    await client.query(`listen ${PEOPLE_CHANNEL}`);
    onUp();
    options.onConnected();
    keepAsking(client, checks.intervalMs, over.signal).catch(fail);
    await ended;
  } finally {
    over.abort();
    // On a half-open connection, end() may never resolve.
    await Promise.race([client.end().catch(() => {}), wait(1_000, undefined, { ref: false })]);
  }
}

/** Runs until `signal` aborts. @throws Error as soon as the server does not answer */
async function keepAsking(client: pg.Client, intervalMs: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const isOver = await wait(intervalMs, false, { signal, ref: false }).catch(() => true);
    if (!isOver) await client.query('select 1');
  }
}
