import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SandboxConfig } from '../../src/config/config.ts';
import { PASSPHRASE } from '../../src/config/secrets-provider.ts';
import type { SandboxStartMessage } from '../main.ts';
import { LOGIN_SERVER, type MachineKind } from './machines.ts';
import type { SandboxFile } from './sandbox-file.ts';

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Returns what the sandbox's GitHub needs to run workflows: a runner machine with this installation's tools,
 * and a repository with the secrets and variables of docs/github-actions.md, set to the sandbox's addresses.
 */
export function toGithubOptions(
  config: SandboxConfig,
  file: SandboxFile,
  { url, machines }: { url: string; machines: MachineKind },
): NonNullable<SandboxStartMessage['github']> {
  return {
    ...(config.tools.act === undefined ? {} : { act: config.tools.act }),
    checkout: CHECKOUT,
    dir: join(config.dataDir, 'github'),
    logDir: join(config.dataDir, 'logs', 'github'),
    environment: toRunnerEnvironment(config, file),
    secrets: {
      CALLBACK_SECRET: file.githubCallbackSecret,
      HCLOUD_TOKEN: file.hcloudToken,
      TAILSCALE_API_KEY: file.tailscaleApiKey,
      PULUMI_BACKEND_URL: toRunnerBackend(config, file),
      PULUMI_CONFIG_PASSPHRASE: file.pulumiPassphrase,
      ...(file.pulumiPassphraseBefore && { PULUMI_CONFIG_PASSPHRASE_BEFORE: file.pulumiPassphraseBefore }),
    },
    variables: {
      CALLBACK_ORIGIN: new URL(url).origin,
      HCLOUD_ENDPOINT: file.hcloudEndpoint,
      TAILSCALE_BASE_URL: file.tailscaleBaseUrl,
      ...(machines === 'real' ? { TAILSCALE_LOGIN_SERVER: LOGIN_SERVER } : {}),
      ...(config.pulumi.secrets.url === PASSPHRASE
        ? {}
        : { PULUMI_SECRETS_PROVIDER: config.pulumi.secrets.url }),
      ...config.software.variables,
    },
  };
}

/**
 * A runner needs only the address: each attempt has its own login. With the user's own Postgres that depends
 * on what the user's login may do, so the runner gets the same address as the service.
 */
function toRunnerBackend({ databaseUrl, pulumi }: SandboxConfig, { pulumiBackendUrl }: SandboxFile): string {
  if (databaseUrl !== undefined || pulumi.backendUrl !== undefined) return pulumiBackendUrl;
  const url = new URL(pulumiBackendUrl);
  url.username = 'runner';
  url.password = '';
  return url.href;
}

/**
 * Returns the environment of a self-hosted runner with everything installed that reaches only the sandbox.
 */
function toRunnerEnvironment(
  config: SandboxConfig,
  { stripeApiUrl: sandboxUrl }: SandboxFile,
): Record<string, string> {
  const { tools, providers } = config;
  const { environment } = config.pulumi.secrets;
  return {
    ...config.childEnvironment,
    // The credentials of a key service, which the workflow leaves to the runner.
    ...Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, value.reveal()])),
    CACHE_DIR: config.cacheDir,
    SANDBOX_URL: sandboxUrl,
    PROVIDERS: providers,
    ...(tools.pulumi === undefined ? {} : { AGENT_STACKS_PULUMI: tools.pulumi }),
    ...(tools.ansible === undefined ? {} : { AGENT_STACKS_ANSIBLE: tools.ansible }),
    // Keeps the user's own Pulumi home untouched, except for official plugins.
    ...(providers === 'builtin' ? { PULUMI_HOME: join(config.dataDir, 'pulumi-home') } : {}),
  };
}
