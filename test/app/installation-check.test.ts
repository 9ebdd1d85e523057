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

/** What Stripe and Tailscale say, on loopback: accounts by key, devices of the tailnet behind the credential. */
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
  const place = { userId: 'u', region: 'eu-west', location: 'fsn1', plan: 'starter' };
  await insertAgent(at.database, { agentId: 'a1', ...place });
  await at.database.updateTable('agents').set({ tailnet_ip: '100.64.0.1' }).execute();
};

test('the state’s database is made once all is found right, and not before', async () => {
  await start();
  expect(await stateDatabases()).toHaveLength(1);
  await execute(`drop database "${new URL(at.url).pathname.slice(1)}-pulumi"`);
  await expect(start({ PULUMI_CONFIG_PASSPHRASE: 'a wrong one' })).rejects.toThrow(
    /PULUMI_CONFIG_PASSPHRASE/,
  );
  await expect(start({ STRIPE_SECRET_KEY: 'sk_live_foreign' })).rejects.toThrow(/stripe/);
  expect(await stateDatabases()).toEqual([]);
});

test('another key of the same Stripe account is the same account, whatever it looks like', async () => {
  await start();
  await start({ STRIPE_SECRET_KEY: 'rk_live_other' });
  await expect(start({ STRIPE_SECRET_KEY: 'sk_live_foreign' })).rejects.toThrow(
    /another stripe account.*acct_1.*acct_2/,
  );
});

test('the tailnet by its name, or by `-`, is the same tailnet', async () => {
  await start();
  await start({ TAILSCALE_TAILNET: 'example.com' });
});

test('another tailnet’s credential under `-` is refused', async () => {
  await start();
  devices = ['laptop.tail-other.ts.net'];
  await expect(start()).rejects.toThrow(/another tailscale account.*tail-ours\.ts\.net.*tail-other\.ts\.net/);
});

test('so is an empty tailnet, where agents are on the one of before; without any it is no matter', async () => {
  await start();
  devices = [];
  await start();
  await agentOnTailnet();
  await expect(start()).rejects.toThrow(/another tailscale account.*no devices/);
  devices = ['agent-a1.tail-ours.ts.net'];
  await start();
});

test('a credential that is refused is left to the checks: it names no account, and none is forgotten', async () => {
  await start();
  devices = undefined;
  await start({ STRIPE_SECRET_KEY: 'sk_live_one' });
  devices = ['laptop.tail-other.ts.net'];
  await expect(start()).rejects.toThrow(/another tailscale account/);
});

test('a tailnet that is silent at the start is asked until it answers, and another one is refused then', async () => {
  expect(await start()).toBe(false);
  devices = undefined;
  // A refusal is no silence.
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

test('one that is silent at the very first start keeps nobody waiting: there is nothing to compare', async () => {
  devices = undefined;
  refusal = 500;
  expect(await start()).toBe(false);
});

test('a wrong key of Stripe’s is told by its variable, with what Stripe says', async () => {
  await start();
  await expect(start({ STRIPE_SECRET_KEY: 'sk_live_wrong' })).rejects.toThrow(
    /acct_1.*401 API token invalid.*set STRIPE_SECRET_KEY to that account’s/,
  );
});
