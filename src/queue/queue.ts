import { fromKysely, PgBoss } from 'pg-boss';
import { QUERY_TIMEOUT_MS, type Transaction } from '../database/connect.ts';
import type { Log } from '../log.ts';
import type { Secret } from '../secret.ts';

/** A hint that work may be waiting. It only wakes a worker; the operation's row is authoritative. */
export interface Announcement {
  operationId: string;
  agentId: string;
  startAfter?: Date;
}

/** pg-boss behind three verbs: announce, work, stop. */
export interface Queue {
  /** Queues a job in the caller's transaction. @throws Error if pg-boss did not accept it */
  announce(trx: Transaction, announcement: Announcement): Promise<void>;
  /** Calls `wake` for each job, at most `concurrency` at a time. A job is done when `wake` resolves. */
  work(concurrency: number, wake: () => Promise<void>): Promise<void>;
  /** Whether pg-boss is running. */
  isReady(): boolean;
  /** Takes no more jobs, waits for running `wake` calls, then closes the connections. */
  stop(): Promise<void>;
}

const QUEUE = 'operations';
const HOUR_SECONDS = 3600;

/** Starts pg-boss, whose tables are in schema `pgboss`, and creates the queue. */
export async function startQueue({ url, log }: { url: Secret; log: Log }): Promise<Queue> {
  const connection = {
    connectionString: url.reveal(),
    // For its pool. Without a limit, a server that is gone without a word would hold a connection for
    // minutes.
    query_timeout: QUERY_TIMEOUT_MS,
    keepAlive: true,
  };
  const boss = new PgBoss({
    ...connection,
    max: 4,
    application_name: 'agent-stacks queue',
    useListenNotify: true,
    schedule: false,
    persistWarnings: false,
  });
  boss.on('error', (error) =>
    log.warn({ event: 'queue.error', error: error.message }, 'pg-boss reported an error'),
  );
  await boss.start();
  await boss.createQueue(QUEUE, {
    policy: 'standard',
    retryLimit: 0,
    // A job lasts as long as its operation. Expiry is harmless because workers poll the rows as well.
    expireInSeconds: 2 * HOUR_SECONDS,
    deleteAfterSeconds: HOUR_SECONDS,
    notify: true,
  });
  let ready = true;
  return {
    announce: async (trx, { startAfter, ...job }) => {
      const options = { db: fromKysely(trx), ...(startAfter === undefined ? {} : { startAfter }) };
      const id = await boss.send(QUEUE, job, options);
      if (id === null) throw new Error(`The queue did not accept the job of operation ${job.operationId}`);
    },
    work: async (concurrency, wake) => {
      await boss.work(
        QUEUE,
        {
          localConcurrency: concurrency,
          batchSize: 1,
          pollingIntervalSeconds: 1,
          // Workers poll the rows as well.
          notifyPollingIntervalSeconds: 15,
        },
        wake,
      );
    },
    isReady: () => ready,
    stop: async () => {
      ready = false;
      await boss.stop({ graceful: true, timeout: 30_000 });
    },
  };
}
