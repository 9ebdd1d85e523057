import { createHash } from 'node:crypto';
import { type MissingKey, TAILSCALE_KEY, type TailscaleAccount } from '../config/accounts.ts';
import type { LiveConfig } from '../config/config.ts';
import { siblingUrl } from '../config/database-url.ts';
import type { GithubAccount } from '../config/github-account.ts';
import type { SecretsProvider } from '../config/secrets-provider.ts';
import { Keyring } from '../keys/keyring.ts';
import { Secret } from '../secret.ts';
import { accountInKey } from '../stripe/account.ts';

/** Everything that a service process connects to, so that nothing downstream depends on the mode. */
export interface Connections {
  databaseUrl: Secret;
  /** `keyring`: the passphrase, and everything that is derived from it. */
  pulumi: { url: Secret; keyring: Keyring; home: string | undefined; secrets: SecretsProvider };
  apiToken: Secret;
  stripe: { secretKey: Secret; webhookSecrets: Secret[]; apiUrl: string | undefined };
  /** The official provider polls every 500 ms by default, which would use up the hourly quota. */
  hcloud: { token: Secret; endpoint: string; pollInterval: string | undefined };
  tailscale: TailscaleAccount;
  github: GithubAccount;
  /** The clouds' API keys that are not configured. If any is missing, the clouds are not monitored. */
  missingKeys: readonly MissingKey[];
  /** Returns the health URL of the agent at this tailnet address. */
  healthAddress(tailnetIp: string): string;
  /** How Ansible reaches a server. */
  machines: 'ssh' | 'simulated';
  /** The URL that describes the sandbox machines' network; undefined outside the sandbox. */
  networkUrl: string | undefined;
  /** The module that serves the builtin providers; undefined for the official plugins. */
  providerHost: string | undefined;
  /** The page on which a newcomer buys an agent from the sandbox. */
  checkoutUrl: string | undefined;
  /** Non-secret names of the accounts, for the database's stamp. */
  accounts: Record<string, string>;
}

/**
 * The connections needed to execute operations: the clouds, the state and the agents, but not the service's
 * database.
 */
export type EngineConnections = Pick<
  Connections,
  'pulumi' | 'hcloud' | 'tailscale' | 'machines' | 'networkUrl' | 'healthAddress' | 'providerHost'
>;

export const HEALTH_PORT = 8088;
export const HETZNER_ENDPOINT = 'https://api.hetzner.cloud/v1';

/** Returns the health URL of an agent on a real machine. */
export const healthAddress = (tailnetIp: string) => `http://${tailnetIp}:${HEALTH_PORT}/health`;

/** Returns the connections of live mode, to the real services. */
export function liveConnections(config: LiveConfig): Connections {
  const { stripe, hcloud, tailscale, github, missingKeys } = config.accounts;
  const { mode, text } = accountInKey(stripe.secretKey);
  return {
    databaseUrl: config.databaseUrl,
    pulumi: {
      url: config.pulumi.backendUrl ?? new Secret(siblingUrl(config.databaseUrl.reveal(), 'pulumi')),
      keyring: new Keyring(config.pulumi.passphrase!, config.pulumi.passphraseBefore),
      home: undefined,
      secrets: config.pulumi.secrets,
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
      // The first characters of a Stripe key identify the account and its mode. They are the same for secret
      // and restricted keys and survive a key roll. The prefix is always that of secret keys, for
      // compatibility with stamps of the first version.
      stripe: fingerprint(`sk_${mode}_${text}`),
      hcloud: hcloud.endpoint ?? HETZNER_ENDPOINT,
      // Without a key the tailnet is unknown; it is recorded once a key is configured.
      ...(missingKeys.includes(TAILSCALE_KEY)
        ? {}
        : { tailscale: `${tailscale.baseUrl} ${tailscale.tailnet}` }),
    },
  };
}

export function fingerprint(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
