import { serverFor } from '../../agents/plans.ts';
import type { PlanServers, ServerRules } from '../../config/plans.ts';
import { ShortageError } from '../../errors.ts';
import type { HetznerClient, ServerType } from '../../hetzner/hetzner.ts';

interface Wanted {
  plan: string;
  location: string;
}

/**
 * Returns the server types that a plan may have in a location, the preferred one first. A plan that the
 * operator has not described has one. Without a ceiling and a list nothing is asked of Hetzner.
 * @throws ShortageError if none of them is to be had now at an allowed price
 */
export async function listServerChoices(
  hetzner: Pick<HetznerClient, 'findServerType'>,
  servers: PlanServers | undefined,
  wanted: Wanted,
): Promise<string[]> {
  const usual = serverFor(wanted.plan, wanted.location).serverType;
  const rules = findRules(servers, wanted.plan);
  if (rules === undefined) return [usual];
  const choices: string[] = [];
  const refused: string[] = [];
  for (const name of rules.types[wanted.location] ?? [usual]) {
    const reason = whyNot(name, await hetzner.findServerType(name), wanted.location, rules);
    if (reason === undefined) choices.push(name);
    else refused.push(reason);
  }
  if (choices.length === 0) throw noServer(wanted, refused);
  return choices;
}

/** The error of an order that waits until Hetzner has a server for it. */
export function noServer({ plan, location }: Wanted, reasons: readonly string[]): ShortageError {
  return new ShortageError(`Waiting for a server of plan ${plan} in ${location}: ${reasons.join('; ')}`);
}

export const soldOut = (serverType: string) => `${serverType} is sold out`;

function whyNot(
  name: string,
  type: ServerType | undefined,
  location: string,
  { mostEurosPerMonth: most }: ServerRules,
): string | undefined {
  const offer = type?.offers.find((one) => one.location === location);
  if (offer === undefined) return `${name} is not sold there`;
  if (!offer.isAvailable) return soldOut(name);
  if (most === undefined) return undefined;
  if (offer.eurosPerMonth === undefined) return `${name} has no price`;
  if (offer.eurosPerMonth <= most) return undefined;
  return `${name} costs ${offer.eurosPerMonth.toFixed(2)} € a month, more than ${most} €`;
}

function findRules(servers: PlanServers | undefined, plan: string): ServerRules | undefined {
  return Object.entries(servers ?? {}).find(([name]) => name === plan)?.[1];
}
