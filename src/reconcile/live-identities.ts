import { AGENT_TAG } from '../../stacks/tailnet.ts';
import { TAILSCALE_KEY } from '../config/accounts.ts';
import type { Config } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import { errorMessage, PermanentError } from '../errors.ts';
import { HttpError } from '../http-client/request.ts';
import { readStripeAccount } from '../stripe/account.ts';
import { CONTROLLER_TAG } from '../tailscale/controller-key.ts';
import { createTailscaleClient, type TailnetDevice } from '../tailscale/tailscale.ts';

/** How long a start waits for a vendor that hangs. */
const PATIENCE_MS = 5_000;
const OUR_TAGS = [AGENT_TAG, CONTROLLER_TAG];

/** The identities of an installation's accounts according to their vendors. */
export interface Identities {
  /** Without the vendors that refuse, do not answer or cannot tell. */
  identities: Record<string, string>;
  /** Why the other identities are not known, by name. */
  unknown: Record<string, string>;
  /** Tailscale has not answered and may do so later. */
  isTailnetSilent: boolean;
  /** Tailscale has answered, but the tailnet has no device whose name would identify it. */
  isTailnetEmpty: boolean;
}

/**
 * Asks the vendors which accounts the credentials belong to. A Hetzner project has no name that its API could
 * return; reconcile/project.ts identifies it by its contents.
 */
export async function askIdentities(config: Config, connections: Connections): Promise<Identities> {
  const { stripe, tailscale, missingKeys } = connections;
  const asksStripe = config.mode === 'live' || stripe.apiUrl !== undefined;
  const hasTailscale = !missingKeys.includes(TAILSCALE_KEY);
  const [account, devices] = await Promise.all([
    asksStripe ? ask(readStripeAccount(stripe)) : NOT_ASKED,
    hasTailscale ? ask(createTailscaleClient(tailscale).listDevices()) : NOT_ASKED,
  ]);
  const tailnet = devices.answer === undefined ? undefined : tailnetName(devices.answer);
  return {
    identities: {
      ...(account.answer === undefined ? {} : { stripe: account.answer }),
      // Another control server may have a tailnet with the same name.
      ...(tailnet === undefined ? {} : { tailscale: `${tailnet} at ${tailscale.baseUrl}` }),
    },
    unknown: {
      ...(account.why === undefined ? {} : { stripe: account.why }),
      ...(devices.why === undefined ? {} : { tailscale: devices.why }),
    },
    isTailnetSilent: devices.isSilent === true,
    isTailnetEmpty: devices.answer !== undefined && tailnet === undefined,
  };
}

/** `why` explains a missing answer. `isSilent`: there was no response at all, as opposed to a refusal. */
interface Asked<T> {
  answer?: T;
  why?: string;
  isSilent?: boolean;
}

const NOT_ASKED: Asked<never> = {};

/** Never throws: the live checks report refused credentials and vendors that do not answer. */
async function ask<T>(question: Promise<T>): Promise<Asked<T>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Asked<T>>((resolve) => {
    const why = `no answer within ${PATIENCE_MS / 1000} s`;
    timer = setTimeout(() => resolve({ why, isSilent: true }), PATIENCE_MS);
  });
  const asked = question.then(
    (answer) => ({ answer }),
    (error: unknown) => ({ why: errorMessage(error), isSilent: !isAnswer(error) }),
  );
  const result = await Promise.race([asked, late]);
  clearTimeout(timer);
  return result;
}

const isAnswer = (error: unknown) =>
  error instanceof PermanentError || (error instanceof HttpError && error.status < 500);

/**
 * Returns the tailnet's name, which is the suffix of its devices' names (`agent-a.tail1234.ts.net`). A key
 * that may only read devices cannot get it anywhere else in the API. Devices shared from other tailnets carry
 * those tailnets' suffixes, so our own devices count first, and then the most frequent suffix.
 */
export function tailnetName(devices: readonly TailnetDevice[]): string | undefined {
  const ours = devices.filter(({ tags }) => tags?.some((tag) => OUR_TAGS.includes(tag)));
  const counts = new Map<string, number>();
  for (const { name } of ours.length > 0 ? ours : devices) {
    const suffix = name.split('.').slice(1).join('.');
    if (suffix !== '') counts.set(suffix, (counts.get(suffix) ?? 0) + 1);
  }
  return [...counts].sort(([, one], [, other]) => other - one)[0]?.[0];
}
