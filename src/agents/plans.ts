import { PLANS, type Plan } from '../config/plans.ts';

export { PLANS, type Plan } from '../config/plans.ts';

export const DEFAULT_PLAN: Plan = 'starter';

/** What a plan means at Hetzner. */
export interface ServerSpecification {
  serverType: string;
  /** An image's name. Ids would differ by architecture and change over time. */
  image: string;
}

const IMAGE = 'debian-12';

/** Hetzner sells the cost-optimized types only in Europe. Elsewhere the closest shared type replaces them. */
const SERVER_TYPES: Record<Plan, { europe: string; elsewhere: string }> = {
  starter: { europe: 'cx23', elsewhere: 'cpx11' },
  pro: { europe: 'cx33', elsewhere: 'cpx21' },
  max: { europe: 'cx43', elsewhere: 'cpx31' },
};

/** The server types of all plans, where the operator describes no others. */
export const PLAN_SERVER_TYPES: readonly string[] = Object.values(SERVER_TYPES).flatMap((types) => [
  types.europe,
  types.elsewhere,
]);

const EUROPE = new Set(['fsn1', 'nbg1', 'hel1']);

/**
 * Returns the server of a plan in a Hetzner location (`nbg1`, `ash`, …).
 * @throws Error for an unknown plan; rows never hold one
 */
export function serverFor(plan: string, location: string): ServerSpecification {
  const known = PLANS.find((name) => name === plan);
  if (known === undefined) throw new Error(`Unknown plan: ${plan}`);
  return { serverType: SERVER_TYPES[known][EUROPE.has(location) ? 'europe' : 'elsewhere'], image: IMAGE };
}
