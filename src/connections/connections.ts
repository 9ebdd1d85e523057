import { createHash } from 'node:crypto';
import { TAILSCALE_KEY, type TailscaleAccount } from '../config/accounts.ts';
import type { LiveConfig } from '../config/config.ts';
import { siblingUrl } from '../config/database-url.ts';
import type { GithubAccount } from '../config/github-account.ts';
import { type HetznerProjectSettings, tokenVariable } from '../config/hetzner-projects.ts';
import type { SecretsProvider } from '../config/secrets-provider.ts';
import { ShortageError } from '../errors.ts';
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
  hcloud: { projects: HetznerProjects; endpoint: string; pollInterval: string | undefined };
  tailscale: TailscaleAccount;
  github: GithubAccount;
  /** The clouds' API keys that are not configured. If any is missing, the clouds are not monitored. */
  missingKeys: readonly string[];
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
 * A Hetzner project and its credential. A client keeps the object itself, so that a new token counts from its
 * next call on.
 */
export interface HetznerProject extends HetznerProjectSettings {
  endpoint: string;
}

/** In the operator's order. What is the same in all projects, such as prices, is asked of the first. */
export type HetznerProjects = readonly [HetznerProject, ...HetznerProject[]];

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
  const endpoint = hcloud.endpoint ?? HETZNER_ENDPOINT;
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
    hcloud: { projects: toProjects(hcloud.projects, endpoint), endpoint, pollInterval: '2s' },
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
      hcloud: endpoint,
      // Without a key the tailnet is unknown; it is recorded once a key is configured.
      ...(missingKeys.includes(TAILSCALE_KEY)
        ? {}
        : { tailscale: `${tailscale.baseUrl} ${tailscale.tailnet}` }),
    },
  };
}

/** What the service itself looks at between operations: what it has the keys for. */
export interface Watched {
  /** Whether a Hetzner project is swept. */
  projects: readonly { project: string; isSwept: boolean }[];
  /** Whether agents are asked for their health. */
  health: boolean;
}

/** Without Tailscale's key nothing is swept: a server's device would be left. */
export function toWatched({ hcloud, missingKeys }: Pick<Connections, 'hcloud' | 'missingKeys'>): Watched {
  const health = !missingKeys.includes(TAILSCALE_KEY);
  return {
    projects: hcloud.projects.map(({ name, token }) => ({
      project: name,
      isSwept: health && token.reveal() !== '',
    })),
    health,
  };
}

/** @throws Error without any */
export function toProjects(settings: readonly HetznerProjectSettings[], endpoint: string): HetznerProjects {
  const [first, ...others] = settings.map((project) => ({ ...project, endpoint }));
  if (first === undefined) throw new Error('No Hetzner project is configured');
  return [first, ...others];
}

/**
 * Without a name, the first one.
 * @throws ShortageError if this process does not have it: another one of the installation may
 */
export function projectNamed(projects: HetznerProjects, name = projects[0].name): HetznerProject {
  const found = projects.find((project) => project.name === name);
  if (found !== undefined) return found;
  throw new ShortageError(
    `This process does not know the Hetzner project ${name}: HCLOUD_PROJECTS and ${tokenVariable(name)} name it`,
  );
}

export function fingerprint(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
