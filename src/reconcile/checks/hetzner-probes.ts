import { PLANS, serverFor } from '../../agents/plans.ts';
import { REGIONS, toLocation } from '../../agents/regions.ts';
import { tokenVariable } from '../../config/hetzner-projects.ts';
import type { PlanServers } from '../../config/plans.ts';
import type { Database } from '../../database/connect.ts';
import { LIMIT_REACHED, RateLimitedError, ShortageError } from '../../errors.ts';
import type { HetznerAccess } from '../../hetzner/access.ts';
import type { HetznerClient, ServerType } from '../../hetzner/hetzner.ts';
import { listServerChoices } from '../../runbooks/steps/server-choice.ts';
import { MisconfiguredError, nothing, ONLY_PROJECT, ofProject, type Probe } from './probe.ts';

type ReadAccess = () => Promise<HetznerAccess>;

/** Whether the token may make servers, not only list them. */
export function hetznerAccessProbe(readAccess: ReadAccess, checked = ONLY_PROJECT): Probe {
  const variable = tokenVariable(checked.project);
  const cure = `Create a token with “Read & Write” in the Cloud Console (Security → API tokens) and set ${variable} to it.`;
  return {
    name: ofProject('hetzner-access', checked),
    blocks: () => true,
    cure,
    look: async () => {
      if ((await readAccess()).canWrite) return 'the token may read and write';
      throw new MisconfiguredError(`${variable} may only read: it can make no server`, cure);
    },
  };
}

/** Below this share of the hourly quota an order may have to wait for it. */
const ENOUGH_QUOTA = 0.1;
const QUOTA_CURE =
  'Wait: it refills by the second. If it stays low, find what else uses this project’s tokens; the service needs a project of its own.';

export function quotaProbe(readAccess: ReadAccess, checked = ONLY_PROJECT): Probe {
  return {
    name: ofProject('quota', checked),
    blocks: nothing,
    cure: QUOTA_CURE,
    look: async () => {
      const { quota } = await readAccess().catch((error: unknown) => {
        if (!(error instanceof RateLimitedError)) throw error;
        throw new MisconfiguredError(
          'The hourly request quota of the Hetzner project is used up',
          QUOTA_CURE,
        );
      });
      if (quota === undefined) return 'Hetzner’s answer says nothing of its quota';
      const words = `${quota.remaining} of ${quota.limit} requests an hour are left`;
      if (quota.remaining < quota.limit * ENOUGH_QUOTA)
        throw new MisconfiguredError(`The Hetzner project’s quota is nearly used up: ${words}`, QUOTA_CURE);
      return words;
    },
  };
}

const LIMIT_CURE =
  'Ask for a higher limit in the Cloud Console (the project’s menu → Limits), or destroy what is not needed: npm run agents -- list.';

/**
 * Hetzner’s API does not tell a project’s limits: what counts is what it has refused since the last server.
 */
export function serverLimitProbe(database: Database): Probe {
  return {
    name: 'server-limit',
    blocks: nothing,
    cure: LIMIT_CURE,
    look: async () => {
      const made = await database
        .selectFrom('operations')
        .select(({ fn }) => fn.max('finished_at').as('at'))
        .where('kind', 'in', ['provision', 'rebuild', 'wake'])
        .where('status', '=', 'succeeded')
        .executeTakeFirst();
      const refused = await database
        .selectFrom('operations')
        .select(['agent_id', 'updated_at'])
        .where('failure_code', '=', LIMIT_REACHED)
        .where('updated_at', '>', made?.at ?? new Date(0))
        .orderBy('updated_at', 'desc')
        .limit(1)
        .executeTakeFirst();
      if (refused === undefined) return 'no server was refused for a limit since the last one was made';
      throw new MisconfiguredError(
        `Hetzner refused a server for agent ${refused.agent_id}: the project has reached its limit`,
        LIMIT_CURE,
      );
    },
  };
}

const PRICE_CURE =
  'Name other server types or a higher price for the plan in BILLING_PLANS (docs/billing.md), or wait until Hetzner sells them again.';

/** Whether every plan can be had in every region, at an allowed price, now. */
export function pricesProbe(hetzner: Pick<HetznerClient, 'findServerType'>, servers: PlanServers): Probe {
  return {
    name: 'prices',
    blocks: nothing,
    cure: PRICE_CURE,
    look: async () => {
      const known = new Map<string, Promise<ServerType | undefined>>();
      const findServerType = (name: string) => {
        if (!known.has(name)) known.set(name, hetzner.findServerType(name));
        return known.get(name)!;
      };
      const missing: string[] = [];
      for (const location of new Set(REGIONS.map((region) => toLocation(region)!)))
        for (const plan of PLANS)
          await listServerChoices({ findServerType }, described(servers, plan, location), {
            plan,
            location,
          }).catch((error: unknown) => {
            if (!(error instanceof ShortageError)) throw error;
            missing.push(error.message.replace(/^Waiting for a server of /, ''));
          });
      if (missing.length === 0) return 'every plan can be had in every region';
      throw new MisconfiguredError(`Not to be had now: ${missing.join('; ')}`, PRICE_CURE);
    },
  };
}

/** The operator’s rules of a plan, or the service’s own choice in their form, so that it is looked up too. */
function described(servers: PlanServers, plan: (typeof PLANS)[number], location: string): PlanServers {
  const usual = {
    types: { [location]: [serverFor(plan, location).serverType] },
    mostEurosPerMonth: undefined,
  };
  return { ...servers, [plan]: servers[plan] ?? usual };
}
