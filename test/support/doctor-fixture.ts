import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkInstallation } from '../../src/app/installation-check.ts';
import { runDoctor } from '../../src/cli/doctor/doctor.ts';
import { type LiveConfig, readConfig } from '../../src/config/config.ts';
import { siblingUrl } from '../../src/config/database-url.ts';
import { openConnections } from '../../src/connections/rehearsal.ts';
import { Secret } from '../../src/secret.ts';
import { createWebhookEndpoint, markWebhookEndpoint } from '../../src/stripe/webhook-endpoints.ts';
import { readOurPolicy } from '../../src/tailscale/our-policy.ts';
import { createPolicyClient } from '../../src/tailscale/policy.ts';
import { type CloudProxy, startCloudProxy } from './cloud-proxy.ts';
import { startService, type TestService } from './http-service.ts';
import { execute } from './postgres.ts';
import { type SandboxFixture, setup, tokens } from './sandbox.ts';

/** A token of another project of the same vendor. */
export const OTHER_TOKEN = 'o'.repeat(64);
const START_SECRET = 'whsec_rehearsal0000000000000000';

/** A rehearsal in which everything is right: its clouds, its service, its environment. */
export interface DoctorFixture {
  sandbox: SandboxFixture;
  proxy: CloudProxy;
  service: TestService;
  /** What the service accepts events with; can be added to. */
  secrets: Secret[];
  account: { secretKey: Secret; apiUrl: string };
  environment: Record<string, string>;
  /** The id of its endpoint at Stripe. */
  endpoint: string;
  /** Runs the doctor with variables in place of the right ones. @returns what is wrong, by name */
  diagnose(variables?: Record<string, string>): Promise<Record<string, string>>;
  /** Issues a credential with fewer permissions. */
  issue(grant: object): Promise<Record<string, string>>;
  /** Calls Hetzner’s API, and returns what it answers. */
  hetzner(method: string, path: string, body?: object): Promise<Record<string, never>>;
  close(): Promise<void>;
}

export async function openDoctor(): Promise<DoctorFixture> {
  const sandbox = await setup({ webhookRetryMs: 20, ownWebhook: false });
  const other = await setup({}, { hcloudToken: OTHER_TOKEN });
  const proxy = await startCloudProxy(sandbox.url, { token: OTHER_TOKEN, url: other.url });
  const secrets: Secret[] = [];
  const service = await startService({ webhookSecrets: secrets });
  const account = { secretKey: new Secret(tokens.stripeSecretKey), apiUrl: proxy.url };
  const made = await createWebhookEndpoint(account, `${service.url}/api/webhooks/stripe`);
  secrets.push(new Secret(made.secret));
  await markWebhookEndpoint(account, made.id, secrets[0]!);
  const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-doctor-'));
  const environment = toEnvironment({ proxy, service, secret: made.secret, folder });
  await startOnce(service, environment);
  const config = readConfig(environment) as LiveConfig;
  const policy = createPolicyClient(config.accounts.tailscale);
  await policy.replace((await readOurPolicy()).text, await policy.read());
  const call = async (url: string, init: RequestInit) => {
    const response = await fetch(url, {
      ...init,
      headers: { 'content-type': 'application/json', ...init.headers },
    });
    return (await response.json()) as never;
  };
  return {
    ...{ sandbox, proxy, service, secrets, account, environment, endpoint: made.id },
    diagnose: async (variables = {}) => {
      const { checks } = await runDoctor({ ...environment, ...variables }, { installs: false });
      const wrong = checks.filter(({ ok }) => !ok);
      for (const { why, cure } of wrong)
        if (why === null || cure === null || cure === '')
          throw new Error(`No why or no cure: ${JSON.stringify(wrong)}`);
      return Object.fromEntries(wrong.map(({ name, detail }) => [name, detail]));
    },
    issue: (grant) =>
      call(`${sandbox.url}/sandbox/credentials`, { method: 'POST', body: JSON.stringify(grant) }),
    hetzner: (method, path, body) =>
      call(`${sandbox.url}/hetzner/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${tokens.hcloudToken}` },
        ...(body && { body: JSON.stringify(body) }),
      }),
    close: async () => {
      await service.stop();
      await execute(sandbox.databaseUrl, `drop database if exists "${stateName(service)}" with (force)`);
      proxy.close();
      await Promise.all([sandbox.close(), other.close()]);
      rmSync(folder, { recursive: true });
    },
  };
}

const stateName = ({ databaseUrl }: TestService) =>
  new URL(siblingUrl(databaseUrl, 'pulumi')).pathname.slice(1);

interface Parts {
  proxy: CloudProxy;
  service: TestService;
  secret: string;
  folder: string;
}

function toEnvironment({ proxy, service, secret, folder }: Parts): Record<string, string> {
  const { PATH = '', HOME = '', AGENT_STACKS_PULUMI = '', AGENT_STACKS_ANSIBLE = '' } = process.env;
  return {
    ...{ PATH, HOME, AGENT_STACKS_PULUMI, AGENT_STACKS_ANSIBLE },
    MODE: 'rehearsal',
    PROVIDERS: 'builtin',
    PUBLIC_URL: service.url,
    DATA_DIR: folder,
    CACHE_DIR: folder,
    DATABASE_URL: service.databaseUrl,
    API_TOKEN: 'operator-token-of-the-rehearsal',
    PULUMI_CONFIG_PASSPHRASE: 'the passphrase of the rehearsal',
    STRIPE_API_URL: proxy.url,
    STRIPE_SECRET_KEY: `${tokens.stripeSecretKey}`,
    STRIPE_WEBHOOK_SECRET: secret || START_SECRET,
    HCLOUD_ENDPOINT: `${proxy.url}/hetzner/v1`,
    HCLOUD_TOKEN: tokens.hcloudToken,
    TAILSCALE_BASE_URL: `${proxy.url}/tailscale`,
    TAILSCALE_OAUTH_CLIENT_ID: tokens.tailscaleOauthClientId,
    TAILSCALE_OAUTH_CLIENT_SECRET: tokens.tailscaleOauthClientSecret,
  };
}

/**
 * What a first start leaves in the database: its stamp, what the passphrase has sealed, Pulumi’s database.
 */
async function startOnce({ database }: TestService, environment: Record<string, string>): Promise<void> {
  const config = readConfig(environment);
  if (config.mode === 'sandbox') throw new Error('not a rehearsal');
  await checkInstallation(database, config, await openConnections(config));
  // Nothing of an earlier database is at Hetzner.
  await database.updateTable('installation').set({ recovery: 'none' }).execute();
}
