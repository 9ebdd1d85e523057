import { pick, pickWeighted, type Random } from './random.ts';

const DAY = 24 * 3_600_000;

/** What a customer, their bank or the operator does. */
export type Act =
  | 'break-card'
  | 'mend-card'
  | 'pay'
  | 'pay-elsewhere'
  | 'void-invoice'
  | 'cancel-at-end'
  | 'undo-cancel'
  | 'cancel-now'
  | 'change-plan'
  | 'refund'
  | 'dispute'
  | 'win-dispute'
  | 'lose-dispute'
  | 'pause-collection'
  | 'resume-collection'
  | 'hold-for-abuse'
  | 'release-abuse'
  | 'cancel-deleted';

/** A step of a customer's story, at a business time in milliseconds. */
export interface Step {
  at: number;
  act: Act;
}

export interface Customer {
  agentId: string;
  subscriptionId: string;
  /** What is still to come in their story. */
  steps: Step[];
  /** Since when everything is paid for, as far as it was looked at; null while it is not. */
  paidUpSince: number | null;
  /** Deleted, and their subscription has ended. */
  isGone: boolean;
}

interface Story {
  weight: number;
  /** `periodEnd`: when the present period ends. */
  tell(random: Random, now: number, periodEnd: number): Step[];
}

const between = (random: Random, least: number, most: number) => least + random() * (most - least);

/** How many days after the failed payment a customer pays; undefined: never. */
function drawDelay(random: Random): number | undefined {
  const { days } = pickWeighted(
    [
      { weight: 30, days: [1, 6] },
      { weight: 15, days: [7, 13] },
      { weight: 20, days: [14.5, 20] },
      { weight: 15, days: [21.5, 40] },
      { weight: 20, days: undefined },
    ],
    random(),
  );
  return days && between(random, days[0]!, days[1]!);
}

/**
 * What may happen to a customer who pays, by how often. A card that broke shows at the next renewal: from
 * there they pay in time, late, after the suspension, after the hibernation, or never.
 */
const STORIES: readonly Story[] = [
  {
    weight: 40,
    tell: (random, now, periodEnd) => {
      const delay = drawDelay(random);
      const steps: Step[] = [{ at: now, act: 'break-card' }];
      if (delay === undefined) return steps;
      const way = pickWeighted(
        [
          { weight: 8, act: 'pay' as const },
          { weight: 1, act: 'pay-elsewhere' as const },
          { weight: 1, act: 'void-invoice' as const },
        ],
        random(),
      );
      const at = periodEnd + delay * DAY;
      return [...steps, { at, act: 'mend-card' }, { at, act: way.act }];
    },
  },
  {
    weight: 14,
    tell: (random, now, periodEnd) => {
      const undoneAt = between(random, now, periodEnd);
      const undone: Step[] = random() < 0.3 ? [{ at: undoneAt, act: 'undo-cancel' }] : [];
      return [{ at: now, act: 'cancel-at-end' }, ...undone];
    },
  },
  { weight: 6, tell: (_random, now) => [{ at: now, act: 'cancel-now' }] },
  { weight: 12, tell: (_random, now) => [{ at: now, act: 'change-plan' }] },
  { weight: 6, tell: (_random, now) => [{ at: now, act: 'refund' }] },
  {
    weight: 8,
    tell: (random, now) => [
      { at: now, act: 'dispute' },
      {
        at: now + between(random, 3, 40) * DAY,
        act: pick(['win-dispute', 'lose-dispute'] as const, random())!,
      },
    ],
  },
  {
    weight: 8,
    tell: (random, now) => [
      { at: now, act: 'pause-collection' },
      { at: now + between(random, 5, 60) * DAY, act: 'resume-collection' },
    ],
  },
  {
    weight: 6,
    tell: (random, now) => [
      { at: now, act: 'hold-for-abuse' },
      { at: now + between(random, 2, 20) * DAY, act: 'release-abuse' },
    ],
  },
];

/** How likely a customer's story begins on a day, with 200 of them: a few of a hundred a month. */
const TROUBLE_A_DAY = 0.003;

/** Few customers have more trouble each, so that a short year shows as much. */
export function troubleADay(customers: number): number {
  return Math.min(0.05, TROUBLE_A_DAY * Math.sqrt(200 / customers));
}

/** Draws a customer's next story. */
export function drawStory(random: Random, now: number, periodEnd: number): Step[] {
  return pickWeighted(STORIES, random()).tell(random, now, periodEnd);
}

/** Takes the steps that are due by a time out of a customer's story. */
export function takeDue(customer: Customer, until: number): Step[] {
  const due = customer.steps.filter(({ at }) => at <= until);
  customer.steps = customer.steps.filter(({ at }) => at > until);
  return due.toSorted((one, other) => one.at - other.at);
}

/** Puts a list in a random order. */
export function shuffle<T>(list: readonly T[], random: Random): T[] {
  return list
    .map((item) => ({ item, place: random() }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ item }) => item);
}
