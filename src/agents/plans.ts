/** What can be bought, smallest first. */
export const PLANS = ['starter', 'pro', 'max'] as const;
export type Plan = (typeof PLANS)[number];

export const DEFAULT_PLAN: Plan = 'starter';

/** A plan in Hetzner's terms. */
export interface ServerSpecification {
  serverType: string;
  /** An image's name, never its id: ids differ by architecture and change. */
  image: string;
}

const IMAGE = 'debian-12';

/** The cost-optimized types are sold only in Europe; elsewhere the nearest shared type replaces them. */
const SERVER_TYPES: Record<Plan, { europe: string; elsewhere: string }> = {
  starter: { europe: 'cx23', elsewhere: 'cpx11' },
  pro: { europe: 'cx33', elsewhere: 'cpx21' },
  max: { europe: 'cx43', elsewhere: 'cpx31' },
};

const EUROPE = new Set(['fsn1', 'nbg1', 'hel1']);

/**
 * The server of a plan in a Hetzner location (`nbg1`, `ash`, …).
 * @throws Error for an unknown plan, which never gets into a row.
 */
export function serverFor(plan: string, location: string): ServerSpecification {
  const known = PLANS.find((name) => name === plan);
  if (known === undefined) throw new Error(`There is no plan ${plan}`);
  return { serverType: SERVER_TYPES[known][EUROPE.has(location) ? 'europe' : 'elsewhere'], image: IMAGE };
}
