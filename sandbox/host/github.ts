import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SandboxConfig } from '../../src/config/config.ts';
import type { SandboxStartMessage } from '../main.ts';
import { LOGIN_SERVER, type MachineKind } from './machines.ts';
import type { SandboxFile } from './sandbox-file.ts';

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * What the sandbox's GitHub runs workflows with: a machine that has this installation's tools, and a repository whose
 * secrets and variables are set as docs/github-actions.md says, with the sandbox's addresses.
 */
export function sandboxGithub(
  config: SandboxConfig,
  file: SandboxFile,
  { url, machines }: { url: string; machines: MachineKind },
): NonNullable<SandboxStartMessage['github']> {
  return {
    ...(config.tools.act === undefined ? {} : { act: config.tools.act }),
    checkout: CHECKOUT,
    dir: join(config.dataDir, 'github'),
    logDir: join(config.dataDir, 'logs', 'github'),
    environment: runnerMachine(config, file),
    secrets: {
      CALLBACK_SECRET: file.githubCallbackSecret,
      HCLOUD_TOKEN: file.hcloudToken,
      TAILSCALE_API_KEY: file.tailscaleApiKey,
      PULUMI_BACKEND_URL: runnersBackend(config, file),
      PULUMI_CONFIG_PASSPHRASE: file.pulumiPassphrase,
    },
    variables: {
      CALLBACK_ORIGIN: new URL(url).origin,
      HCLOUD_ENDPOINT: file.hcloudEndpoint,
      TAILSCALE_BASE_URL: file.tailscaleBaseUrl,
      ...(machines === 'real' ? { TAILSCALE_LOGIN_SERVER: LOGIN_SERVER } : {}),
      ...config.software.variables,
    },
  };
}

/**
 * A runner needs the address alone: each attempt logs in as itself. Where somebody else's Postgres holds the state, that depends on
 * what its login may do, so the runner gets the same one as the service.
 */
function runnersBackend({ databaseUrl, pulumi }: SandboxConfig, { pulumiBackendUrl }: SandboxFile): string {
  if (databaseUrl !== undefined || pulumi.backendUrl !== undefined) return pulumiBackendUrl;
  const url = new URL(pulumiBackendUrl);
  url.username = 'runner';
  url.password = '';
  return url.href;
}

/** As a self-hosted runner on which everything is installed, and which can reach nothing but the sandbox. */
function runnerMachine(
  config: SandboxConfig,
  { stripeApiUrl: sandboxUrl }: SandboxFile,
): Record<string, string> {
  const { tools, providers } = config;
  return {
    ...config.childEnvironment,
    CACHE_DIR: config.cacheDir,
    SANDBOX_URL: sandboxUrl,
    PROVIDERS: providers,
    ...(tools.pulumi === undefined ? {} : { AGENT_STACKS_PULUMI: tools.pulumi }),
    ...(tools.ansible === undefined ? {} : { AGENT_STACKS_ANSIBLE: tools.ansible }),
    // The user's own Pulumi home stays untouched, but for the official plugins in it.
    ...(providers === 'builtin' ? { PULUMI_HOME: join(config.dataDir, 'pulumi-home') } : {}),
  };
}
