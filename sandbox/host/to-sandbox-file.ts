import type { SandboxConfig } from '../../src/config/config.ts';
import type { Databases } from './databases.ts';
import type { InstallationSecrets } from './installation-secrets.ts';
import { LOGIN_SERVER, type MachineKind } from './machines.ts';
import type { SandboxFile } from './sandbox-file.ts';

interface Parts {
  secrets: InstallationSecrets;
  databases: Databases;
  config: SandboxConfig;
  machines: MachineKind;
}

/**
 * Builds the file of an installation whose sandbox is at `url`. The service's own address is added later.
 */
export function toSandboxFile(url: string, { secrets, databases, config, machines }: Parts): SandboxFile {
  const { sandboxTokens: tokens } = secrets;
  return {
    url: '',
    apiToken: secrets.apiToken,
    stripeApiUrl: url,
    stripeApiKey: tokens.stripeSecretKey,
    stripeWebhookSecret: tokens.stripeWebhookSecret,
    githubApiUrl: `${url}/github`,
    githubCallbackSecret: secrets.githubCallbackSecret,
    hcloudEndpoint: `${url}/hetzner/v1`,
    hcloudToken: tokens.hcloudToken,
    tailscaleBaseUrl: `${url}/tailscale`,
    tailscaleApiKey: tokens.tailscaleApiKey,
    tailscaleOauthClientId: tokens.tailscaleOauthClientId,
    tailscaleOauthClientSecret: tokens.tailscaleOauthClientSecret,
    // Simulated machines never connect to it: any address will do.
    tailscaleLoginServer: machines === 'real' ? LOGIN_SERVER : `${url}/tailscale`,
    databaseUrl: databases.agents,
    pulumiBackendUrl: config.pulumi.backendUrl?.reveal() ?? databases.pulumi,
    pulumiPassphrase: secrets.pulumiPassphrase,
    ...(config.pulumi.passphraseBefore && {
      pulumiPassphraseBefore: config.pulumi.passphraseBefore.reveal(),
    }),
  };
}
