import { AGENT_TAG } from '../../stacks/tailnet.ts';
import { TAILSCALE_KEY } from '../config/accounts.ts';
import type { Config } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import { errorMessage, PermanentError } from '../errors.ts';
import { HttpError } from '../http-client/request.ts';
import { readStripeAccount } from '../stripe/account.ts';
import { CONTROLLER_TAG } from '../tailscale/controller-key.ts';
import { createTailscaleClient, type TailnetDevice } from '../tailscale/tailscale.ts';

/** A start waits for a vendor that hangs, but not for long. */
const PATIENCE_MS = 5_000;
const OUR_TAGS = [AGENT_TAG, CONTROLLER_TAG];

/** What vendors say an installation's accounts are; without those that refuse, do not answer or cannot tell. */
export interface Identities {
  identities: Record<string, string>;
  /** Why the others are not known, by name. */
  unknown: Record<string, string>;
  /** Tailscale has given no answer, and may do so later. */
  isTailnetSilent: boolean;
  /** Tailscale has answered, and there is no device by which the tailnet could be told. */
  isTailnetEmpty: boolean;
}

/**
 * Asks the vendors whose accounts these are. Hetzner's project has no name to be asked for: reconcile/project.ts tells it by what is in
 * it.
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
      // Another control server may have a tailnet of the same name.
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

/** `why` there is no answer; `isSilent`: nobody answered, which is no refusal. */
interface Asked<T> {
  answer?: T;
  why?: string;
  isSilent?: boolean;
}

const NOT_ASKED: Asked<never> = {};

/** That a credential is refused, or nobody answers, is for the checks to say. */
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
 * A tailnet's name as it stands behind every device's own (`agent-a.tail1234.ts.net`): the API has no other that a key for devices may
 * read. Devices that others have shared into the tailnet have their own tailnet's, so ours decide, then the most.
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
