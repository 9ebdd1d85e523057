import { DEMANDS, type Decision } from '../decision.ts';

/** A subscription of an agent with what it alone would demand. */
export interface Decided {
  subscriptionId: string;
  /** Whether it has ended, and no period that was paid for is left. */
  isOver: boolean;
  decision: Decision;
}

/** States in which somebody pays, or is about to, and that end without a cancellation. */
const LIVE_STATES: readonly Decision['state'][] = ['trial', 'paid', 'paused', 'past_due', 'suspended'];

/**
 * Chooses the subscription that counts for an agent with several: the mildest one, so that nobody who has
 * paid is harmed. One that is over does not compete with one that goes on: what it demands has no
 * announcement, so it would let the agent run whatever the other one owes. Of equal ones, the one that runs
 * on, then the one that counted before.
 */
export function chooseGoverning<T extends Decided>(
  decided: readonly T[],
  before: string | undefined,
): T | undefined {
  const rank = ({ subscriptionId, decision }: T) => [
    DEMANDS.indexOf(decision.demand),
    LIVE_STATES.indexOf(decision.state) === -1 ? LIVE_STATES.length : LIVE_STATES.indexOf(decision.state),
    subscriptionId === before ? 0 : 1,
  ];
  const goingOn = decided.filter(({ isOver }) => !isOver);
  const competing = goingOn.length > 0 ? goingOn : decided;
  return [...competing].sort((a, b) => compareRanks(rank(a), rank(b), a, b))[0];
}

function compareRanks(a: readonly number[], b: readonly number[], one: Decided, other: Decided): number {
  const difference = a.map((value, index) => value - b[index]!).find((value) => value !== 0);
  return difference ?? (one.subscriptionId < other.subscriptionId ? -1 : 1);
}

/** Whether the subscription is billed on, as far as its state says. */
export function isBilled({ state }: Pick<Decision, 'state'>): boolean {
  return isBilledState(state);
}

/** The same of a state as its row has it. */
export function isBilledState(state: string): boolean {
  return LIVE_STATES.some((live) => live === state) || state === 'ending';
}
