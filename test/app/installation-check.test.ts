import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { insertAgent } from '../../src/agents/store.ts';
import { checkInstallation, untilTailnetKnown } from '../../src/app/installation-check.ts';
import { readConfig } from '../../src/config/config.ts';
import { liveConnections } from '../../src/connections/connections.ts';
import { migrate } from '../../src/database/migrations.ts';
import { openEmpty } from '../database/support.ts';

/** Stripe and Tailscale on loopback: accounts by key, and the devices of the credential's tailnet. */
let accounts: Record<string, string>;
let devices: string[] | undefined;
let refusal: number;
let vendors: Server;
let at: Awaited<ReturnType<typeof openEmpty>>;

beforeEach(async () => {
  accounts = { sk_live_one: 'acct_1', rk_live_other: 'acct_1', sk_live_foreign: 'acct_2' };
  devices = ['agent-a1.tail-ours.ts.net'];
  refusal = 401;
  vendors = createServer((request, response) => {
    const key = request.headers.authorization?.replace('Bearer ', '') ?? '';
    const answer = request.url?.endsWith('/v1/account')
      ? accounts[key] && { id: accounts[key] }
      : devices && {
          devices: devices.map((name) => ({ nodeId: name, name, hostname: name, addresses: [] })),
        };
    response.statusCode = answer ? 200 : refusal;
    response.end(JSON.stringify(answer ?? { message: 'API token invalid' }));
  });
  await new Promise<void>((resolve) => vendors.listen(0, '127.0.0.1', resolve));
  at = await openEmpty();
  await migrate(at.database);
});
afterEach(async () => {
  vendors.close();
  vendors.closeAllConnections();
  const database = new URL(at.url).pathname.slice(1);
  await execute(`drop database if exists "${database}-pulumi" with (force)`);
  await at.close();
});

async function execute(sql: string): Promise<Record<string, unknown>[]> {
  const url = new URL(at.url);
  url.pathname = '/postgres';
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}
const stateDatabases = () =>
  execute(`select datname from pg_database where datname = '${new URL(at.url).pathname.slice(1)}-pulumi'`);

function configured(changes: Record<string, string> = {}) {
  const root = `http://127.0.0.1:${(vendors.address() as AddressInfo).port}`;
  const config = readConfig({
    MODE: 'rehearsal',
    DATABASE_URL: at.url,
    API_TOKEN: 'operator-token-1234',
    PULUMI_CONFIG_PASSPHRASE: 'the right passphrase',
    STRIPE_SECRET_KEY: 'sk_live_one',
    STRIPE_WEBHOOK_SECRET: 'whsec_0000000000000000000000',
    STRIPE_API_URL: root,
    HCLOUD_TOKEN: 'h'.repeat(64),
    HCLOUD_ENDPOINT: `${root}/hetzner/v1`,
    TAILSCALE_API_KEY: 'tskey-api-x',
    TAILSCALE_BASE_URL: root,
    ...changes,
  });
  if (config.mode === 'sandbox') throw new Error('a sandbox');
  return [at.database, config, liveConnections(config)] as const;
}
const start = (changes?: Record<string, string>) => checkInstallation(...configured(changes));

const agentOnTailnet = async () => {
  const data = { userId: 'u', region: 'eu-west', location: 'fsn1', plan: 'starter' };
  await insertAgent(at.database, { agentId: 'a1', ...data });
  await at.database.updateTable('agents').set({ tailnet_ip: '100.64.0.1' }).execute();
};

test('Pulumi’s state database is created only after all checks have passed', async () => {
  await start();
  expect(await stateDatabases()).toHaveLength(1);
  await execute(`drop database "${new URL(at.url).pathname.slice(1)}-pulumi"`);
  await expect(start({ PULUMI_CONFIG_PASSPHRASE: 'a wrong one' })).rejects.toThrow(
    /PULUMI_CONFIG_PASSPHRASE/,
  );
  await expect(start({ STRIPE_SECRET_KEY: 'sk_live_foreign' })).rejects.toThrow(/stripe/);
  expect(await stateDatabases()).toEqual([]);
});

test('any key of the same Stripe account is accepted', async () => {
  await start();
  await start({ STRIPE_SECRET_KEY: 'rk_live_other' });
  await expect(start({ STRIPE_SECRET_KEY: 'sk_live_foreign' })).rejects.toThrow(
    /another stripe account.*acct_1.*acct_2/,
  );
});

test('the tailnet’s name and `-` mean the same tailnet', async () => {
  await start();
  await start({ TAILSCALE_TAILNET: 'example.com' });
});

test('a credential of another tailnet is refused under `-`', async () => {
  await start();
  devices = ['laptop.tail-other.ts.net'];
  await expect(start()).rejects.toThrow(/another tailscale account.*tail-ours\.ts\.net.*tail-other\.ts\.net/);
});

test('an empty tailnet is refused if agents have been on another one, otherwise accepted', async () => {
  await start();
  devices = [];
  await start();
  await agentOnTailnet();
  await expect(start()).rejects.toThrow(/another tailscale account.*no devices/);
  devices = ['agent-a1.tail-ours.ts.net'];
  await start();
});

test('a refused credential is left to the checks: it names no account, and the stamp stays', async () => {
  await start();
  devices = undefined;
  await start({ STRIPE_SECRET_KEY: 'sk_live_one' });
  devices = ['laptop.tail-other.ts.net'];
  await expect(start()).rejects.toThrow(/another tailscale account/);
});

test('a tailnet that does not answer at the start is asked until it does, and refused if it is another one', async () => {
  expect(await start()).toBe(false);
  devices = undefined;
  // A refusal is an answer.
  for (refusal of [401, 404]) expect(await start()).toBe(false);
  refusal = 500;
  expect(await start()).toBe(true);
  const untilKnown = (signal = new AbortController().signal) => untilTailnetKnown(...configured(), signal);
  await expect(untilKnown(AbortSignal.abort(new Error('told to stop')))).rejects.toThrow('aborted');
  const waiting = untilKnown();
  devices = ['laptop.tail-other.ts.net'];
  await expect(waiting).rejects.toThrow(/another tailscale account/);
  devices = ['agent-a1.tail-ours.ts.net'];
  await untilKnown();
});

test('a tailnet that does not answer at the very first start delays nothing: there is nothing to compare', async () => {
  devices = undefined;
  refusal = 500;
  expect(await start()).toBe(false);
});

test('a wrong Stripe key is reported with its variable and Stripe’s answer', async () => {
  await start();
  await expect(start({ STRIPE_SECRET_KEY: 'sk_live_wrong' })).rejects.toThrow(
    /acct_1.*401 API token invalid.*set STRIPE_SECRET_KEY to that account’s/,
  );
});
