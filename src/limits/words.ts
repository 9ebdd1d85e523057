import type { BreakerName } from '../database/vocabulary.ts';

/** What a breaker limits, as a heading. */
export const TITLES: Record<BreakerName, string> = {
  creates: 'Agents created within an hour',
  destroys: 'Agents destroyed within an hour',
  spend: 'Euros an hour of all servers',
  suspensions: 'Agents suspended or hibernated within a day',
};

const approve = (name: BreakerName) =>
  `If they are right, approve them: on the page Attention, or with npm run agents -- approve ${name}.`;

/** What a person does about a tripped breaker. */
export const CURES: Record<BreakerName, string> = {
  creates: `Paid orders wait for their agents. Look where they come from. ${approve('creates')}`,
  destroys: `Nothing is deleted meanwhile. Look at what waits and why. ${approve('destroys')}`,
  spend: `New servers wait. Raise LIMIT_EUR_PER_HOUR, or look where the orders come from. ${approve('spend')}`,
  suspensions: `Agents that have not been paid for go on running. Look at what waits and why. ${approve('suspensions')}`,
};
