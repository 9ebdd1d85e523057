import { Secret } from '../secret.ts';
import { type EnvironmentReader, oneWord } from './environment-reader.ts';
import { type ExecutorName, runsElsewhere } from './executor-name.ts';
import { endpointUrl, stripeKey, webhookSecrets } from './fields.ts';
import { type GithubAccount, readGithubAccount } from './github-account.ts';
import { type HetznerProjectSettings, readHetznerProjects, tokenVariable } from './hetzner-projects.ts';

/** The names of Tailscale's credential in messages: it has two forms. */
export const TAILSCALE_KEY = 'TAILSCALE_OAUTH_CLIENT_ID (or TAILSCALE_API_KEY)';

/** Credentials of the services that live mode works with. */
export interface LiveAccounts {
  /** `apiUrl`: set only in a rehearsal, where it replaces Stripe's own. */
  stripe: { secretKey: Secret; webhookSecrets: Secret[]; apiUrl: string | undefined };
  /** At least one project. */
  hcloud: { projects: HetznerProjectSettings[]; endpoint: string | undefined };
  tailscale: TailscaleAccount;
  github: GithubAccount;
  /** Variables with keys to the clouds that are not set. Legal if GitHub's runners have the keys. */
  missingKeys: string[];
}

export interface TailscaleAccount {
  credential: { kind: 'api-key'; key: Secret } | { kind: 'oauth'; clientId: string; clientSecret: Secret };
  tailnet: string;
  baseUrl: string;
  loginServer: string | undefined;
}

/**
 * Reads the accounts of Stripe, Hetzner, Tailscale and GitHub that live mode needs; problems go to the
 * reader.
 */
export function readAccounts(reader: EnvironmentReader, executor: ExecutorName): LiveAccounts {
  // The runners have the keys then; this service looks at the clouds where it has some too.
  const keysElsewhere = runsElsewhere(executor);
  const secrets = reader.required(
    'STRIPE_WEBHOOK_SECRET',
    webhookSecrets,
    'it signs Stripe’s events (starts with whsec_)',
  );
  const projects = readHetznerProjects(reader, { required: !keysElsewhere });
  return {
    stripe: {
      secretKey: reader.requiredSecret('STRIPE_SECRET_KEY', stripeKey, 'the Stripe API key'),
      webhookSecrets: (secrets ?? []).map((text) => new Secret(text)),
      apiUrl: reader.text('MODE') === 'rehearsal' ? reader.read('STRIPE_API_URL', endpointUrl) : undefined,
    },
    hcloud: { projects, endpoint: reader.read('HCLOUD_ENDPOINT', endpointUrl) },
    tailscale: readTailscale(reader, { required: !keysElsewhere }),
    github: readGithubAccount(reader, { required: keysElsewhere }),
    missingKeys: [
      ...projects
        .map(({ name }) => tokenVariable(name))
        .filter((variable) => reader.text(variable) === undefined),
      ...(reader.text('TAILSCALE_OAUTH_CLIENT_ID') === undefined &&
      reader.text('TAILSCALE_API_KEY') === undefined
        ? [TAILSCALE_KEY]
        : []),
    ],
  };
}

export function readTailscale(
  reader: EnvironmentReader,
  { required }: { required: boolean },
): TailscaleAccount {
  const clientId = reader.read('TAILSCALE_OAUTH_CLIENT_ID', oneWord);
  const clientSecret = reader.secret('TAILSCALE_OAUTH_CLIENT_SECRET');
  const key = reader.secret('TAILSCALE_API_KEY');
  const isSet = (name: string) => reader.text(name) !== undefined;
  if (isSet('TAILSCALE_OAUTH_CLIENT_ID') !== isSet('TAILSCALE_OAUTH_CLIENT_SECRET')) {
    reader.problems.push(
      'TAILSCALE_OAUTH_CLIENT_ID and TAILSCALE_OAUTH_CLIENT_SECRET must be set together: one of them is missing',
    );
  } else if (required && !isSet('TAILSCALE_OAUTH_CLIENT_ID') && !isSet('TAILSCALE_API_KEY')) {
    reader.problems.push(
      'TAILSCALE_OAUTH_CLIENT_ID and TAILSCALE_OAUTH_CLIENT_SECRET (or TAILSCALE_API_KEY) are missing',
    );
  }
  const oauth = clientId !== undefined && clientSecret !== undefined;
  return {
    credential: oauth
      ? { kind: 'oauth', clientId, clientSecret }
      : { kind: 'api-key', key: key ?? new Secret('') },
    tailnet: reader.text('TAILSCALE_TAILNET') ?? '-',
    baseUrl: reader.read('TAILSCALE_BASE_URL', endpointUrl) ?? 'https://api.tailscale.com',
    loginServer: reader.read('TAILSCALE_LOGIN_SERVER', endpointUrl),
  };
}
