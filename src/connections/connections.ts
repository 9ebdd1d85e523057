import { createHash } from 'node:crypto';
import { type MissingKey, TAILSCALE_KEY, type TailscaleAccount } from '../config/accounts.ts';
import type { LiveConfig } from '../config/config.ts';
import { siblingUrl } from '../config/database-url.ts';
import type { GithubAccount } from '../config/github-account.ts';
import { Secret } from '../secret.ts';
import { accountInKey } from '../stripe/account.ts';

/** Where everything is that a service process talks to, in either mode: nothing after this asks for the mode. */
export interface Connections {
  databaseUrl: Secret;
  pulumi: { url: Secret; passphrase: Secret; home: string | undefined };
  apiToken: Secret;
  stripe: { secretKey: Secret; webhookSecrets: Secret[]; apiUrl: string | undefined };
  /** The official provider asks every 500 ms by default, which eats the hourly quota of requests. */
  hcloud: { token: Secret; endpoint: string; pollInterval: string | undefined };
  tailscale: TailscaleAccount;
  github: GithubAccount;
  /** Keys to the clouds that are not configured; without all of them the clouds are not asked. */
  missingKeys: readonly MissingKey[];
  /** The health address of the agent with this tailnet address. */
  healthAddress(tailnetIp: string): string;
  /** How the configuration reaches a server. */
  machines: 'ssh' | 'simulated';
  /** Where the sandbox tells of the network of its machines; undefined outside of it. */
  networkUrl: string | undefined;
  /** Module that serves the builtin providers; undefined: the official plugins. */
  providerHost: string | undefined;
  /** The page on which a newcomer buys an agent from the sandbox. */
  checkoutUrl: string | undefined;
  /** Non-secret names of the accounts, for the database's stamp. */
  accounts: Record<string, string>;
}

/** Where the clouds, the state and the agents are: all that it takes to carry operations out, and no database of the service's. */
export type EngineConnections = Pick<
  Connections,
  'pulumi' | 'hcloud' | 'tailscale' | 'machines' | 'networkUrl' | 'healthAddress' | 'providerHost'
>;

export const HEALTH_PORT = 8088;
export const HETZNER_ENDPOINT = 'https://api.hetzner.cloud/v1';

/** Where an agent on a machine of its own answers. */
export const healthAddress = (tailnetIp: string) => `http://${tailnetIp}:${HEALTH_PORT}/health`;

/** The connections of live mode: the real services. */
export function liveConnections(config: LiveConfig): Connections {
  const { stripe, hcloud, tailscale, github, missingKeys } = config.accounts;
  const { mode, text } = accountInKey(stripe.secretKey);
  return {
    databaseUrl: config.databaseUrl,
    pulumi: {
      url: config.pulumi.backendUrl ?? new Secret(siblingUrl(config.databaseUrl.reveal(), 'pulumi')),
      passphrase: config.pulumi.passphrase!,
      home: undefined,
    },
    apiToken: config.apiToken,
    stripe,
    hcloud: { token: hcloud.token, endpoint: hcloud.endpoint ?? HETZNER_ENDPOINT, pollInterval: '2s' },
    tailscale,
    github,
    missingKeys,
    healthAddress,
    machines: 'ssh',
    networkUrl: undefined,
    providerHost: undefined,
    checkoutUrl: undefined,
    accounts: {
      // The first characters of a Stripe key name the account and whether it is live; they outlive a rolled key, and are the same for
      // secret and restricted ones. (The text has been made of secret keys from the first version on.)
      stripe: fingerprint(`sk_${mode}_${text}`),
      hcloud: hcloud.endpoint ?? HETZNER_ENDPOINT,
      // Without a key nothing is said of the tailnet; it is noted once there is one.
      ...(missingKeys.includes(TAILSCALE_KEY)
        ? {}
        : { tailscale: `${tailscale.baseUrl} ${tailscale.tailnet}` }),
    },
  };
}

export function fingerprint(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
