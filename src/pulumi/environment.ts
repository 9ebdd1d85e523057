import { availableParallelism } from 'node:os';
import type { TailscaleAccount } from '../config/accounts.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { Secret } from '../secret.ts';

/** Returns the Pulumi CLI's environment: the address of its state, and no update or plugin requests. */
export function pulumiEnvironment(backend: {
  url: Secret;
  keyring: Pick<Keyring, 'sealing'>;
  home?: string | undefined;
  secrets?: { environment: Record<string, Secret> };
}): Record<string, string> {
  return {
    PULUMI_BACKEND_URL: backend.url.reveal(),
    PULUMI_CONFIG_PASSPHRASE: backend.keyring.sealing.passphrase.reveal(),
    ...revealed(backend.secrets?.environment ?? {}),
    ...(backend.home === undefined ? {} : { PULUMI_HOME: backend.home }),
    PULUMI_SKIP_UPDATE_CHECK: 'true',
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'true',
    PULUMI_DIY_BACKEND_NO_LEGACY_WARNING: 'true',
    PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS: 'true',
    // The CLI lives for a second or two, in which collecting its small heap again and again costs a tenth of
    // its processor time. Letting the heap grow takes 5 MiB.
    GOGC: '400',
    // `stack ls` hangs when its parallelism reaches the size of its connection pool, which is twice the
    // cores.
    PULUMI_DIY_BACKEND_PARALLEL: String(Math.max(1, availableParallelism() * 2 - 1)),
    // Work folders are temporary, so the salt of a stack's secrets comes from its state.
    PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER: '1',
  };
}

const revealed = (variables: Record<string, Secret>) =>
  Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, value.reveal()]));

/** Returns the providers' credentials in the variables that the official plugins read. */
export function providerEnvironment(accounts: {
  /** The Hetzner project that the stack's resources are in. */
  project: { token: Secret; endpoint: string };
  tailscale: TailscaleAccount;
}): Record<string, string> {
  const { project, tailscale } = accounts;
  return {
    HCLOUD_TOKEN: project.token.reveal(),
    HCLOUD_ENDPOINT: project.endpoint,
    TAILSCALE_TAILNET: tailscale.tailnet,
    TAILSCALE_BASE_URL: tailscale.baseUrl,
    ...(tailscale.credential.kind === 'api-key'
      ? { TAILSCALE_API_KEY: tailscale.credential.key.reveal() }
      : {
          TAILSCALE_OAUTH_CLIENT_ID: tailscale.credential.clientId,
          TAILSCALE_OAUTH_CLIENT_SECRET: tailscale.credential.clientSecret.reveal(),
        }),
  };
}
