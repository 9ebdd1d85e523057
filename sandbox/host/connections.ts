import { join } from 'node:path';
import { builtinProviders } from '../../src/config/builtin-providers.ts';
import type { SandboxConfig } from '../../src/config/config.ts';
import { onlyProject } from '../../src/config/hetzner-projects.ts';
import { type Connections, fingerprint, HEALTH_PORT, toProjects } from '../../src/connections/connections.ts';
import { Keyring } from '../../src/keys/keyring.ts';
import { Secret } from '../../src/secret.ts';
import type { InstallationSecrets } from './installation-secrets.ts';
import { LOGIN_SERVER, type MachineKind } from './machines.ts';
import type { SandboxFile } from './sandbox-file.ts';

const SANDBOX_OWNER = 'sandbox';
const SANDBOX_REPO = 'agent-stacks';

/** Non-secret names of the sandbox's accounts, for the database's stamp. */
export const sandboxAccounts = ({ sandboxTokens }: InstallationSecrets) => ({
  sandbox: fingerprint(sandboxTokens.hcloudToken),
});

/** A process that joins has the passphrases of the one that hosts the sandbox. */
function toKeyring({ pulumi }: SandboxConfig, file: SandboxFile): Keyring {
  const before = pulumi.passphraseBefore?.reveal() ?? file.pulumiPassphraseBefore;
  return new Keyring(
    new Secret(file.pulumiPassphrase),
    before === undefined || before === file.pulumiPassphrase ? undefined : new Secret(before),
  );
}

/** Returns connections to the sandbox instead of the real services. */
export function sandboxConnections(
  config: SandboxConfig,
  file: SandboxFile,
  secrets: InstallationSecrets,
  machines: MachineKind,
): Connections {
  const areReal = machines === 'real';
  return {
    databaseUrl: new Secret(file.databaseUrl),
    pulumi: {
      url: new Secret(file.pulumiBackendUrl),
      keyring: toKeyring(config, file),
      // Keeps the user's own Pulumi home untouched, except for official plugins.
      home: config.providers === 'builtin' ? join(config.dataDir, 'pulumi-home') : undefined,
      secrets: config.pulumi.secrets,
    },
    apiToken: new Secret(file.apiToken),
    stripe: {
      secretKey: new Secret(secrets.sandboxTokens.stripeSecretKey),
      webhookSecrets: [new Secret(file.stripeWebhookSecret)],
      apiUrl: file.stripeApiUrl,
    },
    hcloud: {
      projects: toProjects([onlyProject(new Secret(file.hcloudToken))], file.hcloudEndpoint),
      endpoint: file.hcloudEndpoint,
      pollInterval: undefined,
    },
    tailscale: {
      credential: { kind: 'api-key', key: new Secret(file.tailscaleApiKey) },
      tailnet: '-',
      baseUrl: file.tailscaleBaseUrl,
      loginServer: areReal ? LOGIN_SERVER : undefined,
    },
    github: {
      apiUrl: file.githubApiUrl,
      owner: SANDBOX_OWNER,
      repo: SANDBOX_REPO,
      ref: 'main',
      token: config.sandbox.github === 'no-token' ? undefined : new Secret(secrets.sandboxTokens.githubToken),
      callbackSecret: new Secret(file.githubCallbackSecret),
      oidc: undefined,
    },
    missingKeys: [],
    healthAddress: (tailnetIp) =>
      areReal
        ? `http://${tailnetIp}:${HEALTH_PORT}/health`
        : `${file.stripeApiUrl}/sandbox/machines/${tailnetIp}/health`,
    machines: areReal ? 'ssh' : 'simulated',
    networkUrl: `${file.stripeApiUrl}/sandbox/network`,
    providerHost: config.providers === 'builtin' ? builtinProviders : undefined,
    checkoutUrl: `${file.stripeApiUrl}/checkout`,
    accounts: sandboxAccounts(secrets),
  };
}
