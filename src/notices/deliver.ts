import type { Database } from '../database/connect.ts';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import { type Clock, systemClock } from '../processes/clock.ts';
import { type IsDue, type Repeating, repeatEvery } from '../processes/repeat.ts';
import { type ClaimedDelivery, claimDelivery, releaseDelivery, settleDelivery } from './deliveries.ts';
import type { Receiver, SendResult } from './receiver.ts';
import { spreadNotices } from './spread.ts';

export interface DeliveryDeps {
  database: Database;
  log: Log;
  receivers: readonly Receiver[];
  /** Counts the pauses between attempts; default: the system's. */
  clock?: Clock | undefined;
}

/** Whether there are notices to be spread, or deliveries to be made. */
export type NoticesDue = (what: 'notices' | 'deliveries') => boolean;

/** How often this process looks for notices. */
const LOOK_SECONDS = 1;
/** Notices that one receiver gets at once, each of another agent. */
const PARALLEL = 4;

/**
 * Delivers notices until stopped. Every worker of an installation does this; they share the deliveries. Each
 * receiver is served on its own, so that a slow one delays no other.
 */
export function startDelivery(
  deps: DeliveryDeps,
  { lookSeconds = LOOK_SECONDS, isDue }: { lookSeconds?: number; isDue?: NoticesDue | undefined } = {},
): Repeating {
  const { database, log, receivers } = deps;
  const stopping = new AbortController();
  const repeat = (task: () => Promise<unknown>, isTaskDue: IsDue | undefined) => {
    const work = async () => {
      try {
        await task();
      } catch (error) {
        if (stopping.signal.aborted) return;
        const text = 'could not deliver notices';
        log.warn({ event: 'notices.poll_failed', error: errorMessage(error) }, text);
      }
    };
    return repeatEvery(lookSeconds, work, isTaskDue);
  };
  const repeating = [
    repeat(() => spreadNotices(database, receivers), isDue && (() => isDue('notices'))),
    ...receivers.map((receiver) =>
      repeat(() => deliverDue(deps, receiver, stopping.signal), isDue && (() => isDue('deliveries'))),
    ),
  ];
  return {
    stop: async () => {
      stopping.abort();
      await Promise.all(repeating.map((one) => one.stop()));
    },
  };
}

/**
 * Sends a receiver everything that is due, a few notices at once. Settles when nothing is under way any more.
 * @returns the number of attempts
 * @throws the first error of the database
 */
export async function deliverDue(
  deps: DeliveryDeps,
  receiver: Receiver,
  signal: AbortSignal,
): Promise<number> {
  const { database, clock = systemClock } = deps;
  const next = async () => (signal.aborted ? undefined : claimDelivery(database, receiver.name, clock.now()));
  const work = async (first?: ClaimedDelivery): Promise<number> => {
    let attempts = 0;
    for (let claimed = first ?? (await next()); claimed !== undefined; claimed = await next()) {
      await attempt(deps, receiver, claimed, signal);
      attempts += 1;
    }
    return attempts;
  };
  const first = await next();
  if (first === undefined) return 0;
  const works = [work(first), ...Array.from({ length: PARALLEL - 1 }, () => work())];
  const ends = await Promise.allSettled(works);
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return ends.reduce((sum, end) => sum + (end.status === 'fulfilled' ? end.value : 0), 0);
}

async function attempt(
  { database, log, clock = systemClock }: DeliveryDeps,
  receiver: Receiver,
  claimed: ClaimedDelivery,
  signal: AbortSignal,
): Promise<void> {
  const result = await send(receiver, claimed, signal);
  if (result === undefined) return releaseDelivery(database, claimed);
  const settled = await settleDelivery(database, claimed, result, clock.now());
  const { noticeId, type, agentId } = claimed.notice;
  const fields = { noticeId, type, agentId, receiver: receiver.name, attempt: claimed.attempt };
  if (result.delivered) {
    log.info({ event: 'notice.delivered', ...fields }, 'notice delivered');
    return;
  }
  const { error, answer } = result;
  const isGivenUp = settled.status === 'failed';
  log.warn(
    { event: isGivenUp ? 'notice.given_up' : 'notice.not_delivered', ...fields, answer, error },
    isGivenUp ? 'notice given up' : 'notice not delivered; it is sent again',
  );
}

/**
 * A receiver that throws has failed like any other, so that the attempt counts and the attempts end.
 * @returns undefined if this process stops before the end
 */
async function send(
  receiver: Receiver,
  { notice, address }: ClaimedDelivery,
  signal: AbortSignal,
): Promise<SendResult | undefined> {
  try {
    return await receiver.send(notice, address, signal);
  } catch (error) {
    if (signal.aborted) return undefined;
    return { delivered: false, answer: null, error: errorMessage(error) };
  }
}
