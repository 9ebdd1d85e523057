import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkInstallation } from '../../src/app/installation-check.ts';
import { reloadCredentials } from '../../src/app/reload.ts';
import { type LiveConfig, readConfig } from '../../src/config/config.ts';
import { type Connections, liveConnections } from '../../src/connections/connections.ts';
import { migrate } from '../../src/database/migrations.ts';
import { createHetznerClient } from '../../src/hetzner/hetzner.ts';
import { createTailscaleClient } from '../../src/tailscale/tailscale.ts';
import { openEmpty } from '../database/support.ts';

const STRIPE: Record<string, string> = {
  sk_live_one: 'acct_1',
  rk_live_new: 'acct_1',
  sk_live_foreign: 'acct_2',
};
const TAILNETS: Record<string, string> = {
  'tskey-one': 'ours',
  'tskey-new': 'ours',
  'tskey-foreign': 'other',
};
/** The projects of tokens, by the id of what is in them. */
const HETZNER: Record<string, number> = {
  ['h'.repeat(64)]: 1,
  ['n'.repeat(64)]: 1,
  ['u'.repeat(64)]: 2,
};
/** The credentials of the calls so far. */
const used: string[] = [];

let folder: string;
let vendors: Server;
let at: Awaited<ReturnType<typeof openEmpty>>;
let connections: Connections;
let config: LiveConfig;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'reload-'));
  vendors = createServer((request, response) => {
    const key = request.headers.authorization?.replace('Bearer ', '') ?? '';
    used.push(key);
    const answer = answerTo(request.url ?? '', key);
    response.statusCode = answer === undefined ? 401 : answer === null ? 404 : 200;
    response.end(JSON.stringify(answer ?? { message: 'no' }));
  });
  await new Promise<void>((resolve) => vendors.listen(0, '127.0.0.1', resolve));
  at = await openEmpty();
  await migrate(at.database);
  write({});
  config = read();
  connections = liveConnections(config);
  await checkInstallation(at.database, config, connections);
});
afterAll(async () => {
  vendors.close();
  vendors.closeAllConnections();
  rmSync(folder, { recursive: true });
  await at.close();
});

/** Undefined: refused; null: not found. */
function answerTo(url: string, key: string): object | null | undefined {
  if (url.endsWith('/v1/account')) return STRIPE[key] === undefined ? undefined : { id: STRIPE[key] };
  if (url.startsWith('/hetzner'))
    return HETZNER[key] === undefined
      ? undefined
      : {
          ...{ firewalls: [], servers: [], ssh_keys: [], primary_ips: [{ id: HETZNER[key] }] },
          meta: { pagination: { next_page: null } },
        };
  const tailnet = TAILNETS[key];
  if (tailnet === undefined) return undefined;
  if (url.includes('/keys')) return { keys: [] };
  if (url.includes('/device/')) return null;
  const name = `agent-a1.tail-${tailnet}.ts.net`;
  return { devices: [{ nodeId: 'n1', name, hostname: 'agent-a1', addresses: [] }] };
}

const GIVEN = {
  HCLOUD_TOKEN: 'h'.repeat(64),
  STRIPE_SECRET_KEY: 'sk_live_one',
  STRIPE_WEBHOOK_SECRET: 'whsec_0000000000000000000000',
};

/** Writes the file of the environment, and the tailnet's key into one of its own. */
function write({ TAILSCALE_API_KEY: key = 'tskey-one', ...changes }: Record<string, string>): void {
  const lines = Object.entries({ ...GIVEN, ...changes }).map(([name, value]) => `${name}=${value}`);
  writeFileSync(join(folder, 'env'), lines.join('\n'));
  writeFileSync(join(folder, 'tailscale'), `${key}\n`);
}

function read(isAgain = false, more: Record<string, string> = {}): LiveConfig {
  const root = `http://127.0.0.1:${(vendors.address() as AddressInfo).port}`;
  const found = readConfig(
    {
      MODE: 'rehearsal',
      DATABASE_URL: at.url,
      PULUMI_BACKEND_URL: at.url,
      API_TOKEN: 'operator-token-1234',
      PULUMI_CONFIG_PASSPHRASE: 'the passphrase',
      STRIPE_API_URL: root,
      HCLOUD_ENDPOINT: `${root}/hetzner/v1`,
      TAILSCALE_BASE_URL: root,
      TAILSCALE_LOGIN_SERVER: root,
      // As the launcher leaves it: what the file said at the start.
      HCLOUD_TOKEN: GIVEN.HCLOUD_TOKEN,
      ENV_FILE: join(folder, 'env'),
      TAILSCALE_API_KEY_FILE: join(folder, 'tailscale'),
      ...more,
    },
    isAgain,
  );
  if (found.mode === 'sandbox') throw new Error('a sandbox');
  return found;
}

const reload = () =>
  reloadCredentials({ config, connections, database: at.database, reread: () => read(true) });

test('new credentials reach the clients that were made before; nothing new is no change', async () => {
  const hetzner = createHetznerClient(connections.hcloud.projects[0]);
  const tailscale = createTailscaleClient(connections.tailscale);
  const { webhookSecrets } = connections.stripe;
  expect(await reload()).toEqual([]);
  write({
    HCLOUD_TOKEN: 'n'.repeat(64),
    TAILSCALE_API_KEY: 'tskey-new',
    STRIPE_SECRET_KEY: 'rk_live_new',
    STRIPE_WEBHOOK_SECRET: 'whsec_1111111111111111111111,whsec_0000000000000000000000',
  });
  expect(await reload()).toHaveLength(4);
  used.length = 0;
  await hetzner.listServers();
  await tailscale.listDevices();
  expect(used).toEqual(['n'.repeat(64), 'tskey-new']);
  expect(webhookSecrets.map((secret) => secret.reveal())).toEqual([
    'whsec_1111111111111111111111',
    'whsec_0000000000000000000000',
  ]);
  write({});
  await reload();
});

test.each([
  ['a token that Hetzner refuses', { HCLOUD_TOKEN: 'x'.repeat(64) }, /HCLOUD_TOKEN: /],
  ['a malformed one', { HCLOUD_TOKEN: 'short' }, /exactly 64/],
  ['a key that Tailscale refuses', { TAILSCALE_API_KEY: 'tskey-wrong' }, /TAILSCALE_API_KEY: /],
  ['a key of another tailnet', { TAILSCALE_API_KEY: 'tskey-foreign' }, /another tailscale account/],
  ['a key that Stripe refuses', { STRIPE_SECRET_KEY: 'sk_live_wrong' }, /STRIPE_SECRET_KEY: /],
  ['a key of another Stripe account', { STRIPE_SECRET_KEY: 'sk_live_foreign' }, /another stripe account/],
])('%s changes nothing, even if the others are right', async (_, wrong, message) => {
  write({ STRIPE_WEBHOOK_SECRET: 'whsec_2222222222222222222222', ...wrong });
  await expect(reload()).rejects.toThrow(message);
  expect(connections.hcloud.projects[0].token.reveal()).toBe(GIVEN.HCLOUD_TOKEN);
  expect(connections.stripe.secretKey.reveal()).toBe(GIVEN.STRIPE_SECRET_KEY);
  expect(connections.stripe.webhookSecrets[0]!.reveal()).toBe(GIVEN.STRIPE_WEBHOOK_SECRET);
  expect(connections.tailscale.credential).toMatchObject({ kind: 'api-key' });
  write({});
  expect(await reload()).toEqual([]);
});

test('a token of another one’s Hetzner project changes nothing', async () => {
  const projects = { HCLOUD_PROJECTS: 'default=eu, us=us' };
  write({ HCLOUD_TOKEN_US: 'u'.repeat(64) });
  const before = read(false, { ...projects, HCLOUD_TOKEN_US: 'u'.repeat(64) });
  const several = liveConnections(before);
  write({ HCLOUD_TOKEN_US: 'n'.repeat(64) });
  const reloading = reloadCredentials({
    ...{ config: before, connections: several, database: at.database },
    reread: () => read(true, { ...projects, HCLOUD_TOKEN_US: 'u'.repeat(64) }),
  });
  await expect(reloading).rejects.toThrow(
    'HCLOUD_TOKEN_US: HCLOUD_TOKEN and HCLOUD_TOKEN_US are tokens of one Hetzner project',
  );
  expect(several.hcloud.projects[1]!.token.reveal()).toBe('u'.repeat(64));
});
