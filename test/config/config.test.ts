import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { describe, expect, it, onTestFinished, test } from 'vitest';
import { readAccounts } from '../../src/config/accounts.ts';
import { readClientConfig } from '../../src/config/client.ts';
import { readConfig } from '../../src/config/config.ts';
import { ConfigError } from '../../src/config/config-error.ts';
import { EnvironmentReader } from '../../src/config/environment-reader.ts';

const live = {
  MODE: 'live',
  DATABASE_URL: 'postgres://db.example/agents',
  API_TOKEN: 'operator-token-1234',
  PULUMI_CONFIG_PASSPHRASE: 'a passphrase',
  STRIPE_SECRET_KEY: 'sk_live_abc',
  STRIPE_WEBHOOK_SECRET: 'whsec_new,whsec_old',
  HCLOUD_TOKEN: 'h'.repeat(64),
  TAILSCALE_API_KEY: 'tskey-api-x',
};

describe('readConfig', () => {
  it('has a default for everything in sandbox mode', () => {
    const config = readConfig({ HOME: '/home/someone' });
    expect(config).toMatchObject({
      mode: 'sandbox',
      host: '127.0.0.1',
      port: 8080,
      publicUrl: 'http://127.0.0.1:8080',
      providers: 'builtin',
    });
  });

  it('takes one host of a database, and says what several should be', () => {
    const problem = 'must name one host: an address that moves to the standby in a failover';
    for (const hosts of ['one,two', 'one:5432,two:5432', 'agents:pass@one,two'])
      for (const name of ['DATABASE_URL', 'PULUMI_BACKEND_URL'])
        expect(() => readConfig({ ...live, [name]: `postgres://${hosts}/agents` })).toThrow(
          `${name} ${problem}`,
        );
    const comma = 'postgres://agents:pass,word@db.example/agents?application_name=a,b';
    expect(readConfig({ ...live, DATABASE_URL: comma }).databaseUrl?.reveal()).toBe(comma);
  });

  it('shortens how long servers may take to join in sandbox mode, not in live mode', () => {
    expect(readConfig({}).joinSeconds).toBe(180);
    expect(readConfig({ JOIN_SECONDS: '30' }).joinSeconds).toBe(30);
    expect(readConfig({ ...live, JOIN_SECONDS: '30' }).joinSeconds).toBe(180);
    expect(() => readConfig({ JOIN_SECONDS: '1' })).toThrow('JOIN_SECONDS must be a whole number of seconds');
  });

  it.each([
    [undefined, false],
    ['false', false],
    ['true', true],
    ['2', 2],
    [' loopback, 10.0.0.0/8, 2001:db8::/32, 192.0.2.1 ', 'loopback, 10.0.0.0/8, 2001:db8::/32, 192.0.2.1'],
  ])('reads TRUSTED_PROXIES=%s as Express does', (TRUSTED_PROXIES, expected) => {
    const { trustedProxies } = readConfig({ TRUSTED_PROXIES });
    expect(trustedProxies).toBe(expected);
    expect(() => express().set('trust proxy', trustedProxies)).not.toThrow();
  });

  it.each([
    'everybody',
    '10.0.0.0/0',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/8/8',
    'loopback,,',
    '-1',
    '1.5',
    '1,',
  ])('refuses TRUSTED_PROXIES=%s', (TRUSTED_PROXIES) => {
    expect(() => readConfig({ TRUSTED_PROXIES })).toThrow(/^ {2}- TRUSTED_PROXIES must be a number/m);
  });

  it('refuses a PROGRAM_TOKEN that is another one', () => {
    const token = 'operator-token-1234';
    const program = 'program-token-1234';
    expect(readConfig({ PROGRAM_TOKEN: program, API_TOKEN: token }).programToken?.reveal()).toBe(program);
    expect(() => readConfig({ PROGRAM_TOKEN: token, API_TOKEN: token })).toThrow(
      'must differ from API_TOKEN',
    );
    expect(() => readConfig({ PROGRAM_TOKEN: program, VIEWER_TOKEN: program })).toThrow(
      'must differ from VIEWER_TOKEN',
    );
  });

  it('refuses a VIEWER_TOKEN that is the operator’s', () => {
    const token = 'operator-token-1234';
    expect(readConfig({ VIEWER_TOKEN: 'viewer-token-1234', API_TOKEN: token }).viewerToken?.reveal()).toBe(
      'viewer-token-1234',
    );
    expect(() => readConfig({ VIEWER_TOKEN: token, API_TOKEN: token })).toThrow('must differ from API_TOKEN');
  });

  it('has limits by default, and reads others', () => {
    expect(readConfig({}).limits).toEqual({
      createsPerHour: 60,
      destroysPerHour: 5,
      destroysPercent: 5,
      eurosPerHour: undefined,
      suspensionsPerDay: { percent: 20 },
    });
    const environment = {
      LIMIT_CREATES_PER_HOUR: '0',
      LIMIT_DESTROYS_PER_HOUR: '12',
      LIMIT_DESTROYS_SHARE: '2.5 %',
      LIMIT_EUR_PER_HOUR: '1.25',
      LIMIT_SUSPENSIONS_PER_DAY: '30',
    };
    expect(readConfig(environment).limits).toEqual({
      createsPerHour: 0,
      destroysPerHour: 12,
      destroysPercent: 2.5,
      eurosPerHour: 1.25,
      suspensionsPerDay: { count: 30 },
    });
    expect(readConfig({ LIMIT_SUSPENSIONS_PER_DAY: '7%' }).limits.suspensionsPerDay).toEqual({ percent: 7 });
  });

  it.each([
    ['LIMIT_CREATES_PER_HOUR', '-1', 'must be a whole number'],
    ['LIMIT_CREATES_PER_HOUR', '1e3', 'must be a whole number'],
    ['LIMIT_DESTROYS_PER_HOUR', '2.5', 'must be a whole number'],
    ['LIMIT_DESTROYS_SHARE', '5', 'must be a percentage'],
    ['LIMIT_DESTROYS_SHARE', '101%', 'must be a percentage'],
    ['LIMIT_EUR_PER_HOUR', '€5', 'must be an amount in euros'],
    ['LIMIT_SUSPENSIONS_PER_DAY', '20 % of all', 'must be a whole number, or a percentage'],
    ['LIMIT_SUSPENSIONS_PER_DAY', '200%', 'must be a whole number, or a percentage'],
  ])('refuses %s=%s', (name, value, problem) => {
    expect(() => readConfig({ [name]: value })).toThrow(`${name} ${problem}`);
  });

  it.each([
    ['14d', 14 * 86_400_000],
    ['12h', 12 * 3_600_000],
    ['30m', 1_800_000],
    ['45s', 45_000],
  ])('reads BILLING_SUSPEND_AFTER=%s', (BILLING_SUSPEND_AFTER, expected) => {
    const { billing } = readConfig({ BILLING_SUSPEND_AFTER, BILLING: 'observe' });
    expect(billing).toMatchObject({ mode: 'observe', durations: { suspendAfterMs: expected } });
    expect(readConfig({}).billing.mode).toBe('act');
  });

  it.each(['14', 'd', '0d', '-1d', '1.5d', '1w', '99999999d', '14 d'])('refuses a duration of %s', (text) => {
    const reading = () => readConfig({ BILLING_CANCEL_GRACE: text, BILLING: 'on' });
    expect(reading).toThrow(/^ {2}- BILLING_CANCEL_GRACE must be a duration/m);
    expect(reading).toThrow(/^ {2}- BILLING must be one of act, observe, off/m);
  });

  it('reads plans from a file, and says everything that is wrong with it at once', () => {
    const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-plans-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const BILLING_PLANS = join(folder, 'plans.json');
    const write = (content: unknown) => writeFileSync(BILLING_PLANS, JSON.stringify(content));
    write({ prices: { price_1: 'starter', pro_monthly: 'pro' } });
    expect(readConfig({ BILLING_PLANS }).billing.plans).toEqual({
      ofPrice: { price_1: 'starter', pro_monthly: 'pro' },
      metadata: false,
      servers: {},
      snapshots: {},
    });
    expect(readConfig({}).billing.plans).toEqual({
      ...{ ofPrice: {}, metadata: true },
      ...{ servers: {}, snapshots: {} },
    });
    const servers = { pro: { types: { nbg1: ['cx33', 'cpx32'] }, mostEurosPerMonth: 12 } };
    write({ prices: { price_1: 'pro' }, metadata: true, servers });
    expect(readConfig({ BILLING_PLANS }).billing.plans).toEqual({
      ofPrice: { price_1: 'pro' },
      metadata: true,
      servers,
      snapshots: {},
    });
    const snapshots = { pro: { every: '12h', keep: 3, lastSnapshot: '30d' } };
    write({ prices: { price_1: 'pro' }, snapshots });
    const { starter, pro } = readConfig({ BILLING_PLANS, AGENT_SNAPSHOTS_EVERY: '1d' }).snapshots;
    expect(starter).toEqual({ everyMs: 86_400_000, keep: 7, lastMs: undefined });
    expect(pro).toEqual({ everyMs: 43_200_000, keep: 3, lastMs: 30 * 86_400_000 });
    write({ prices: { price_1: 'pro' }, snapshots: { pro: { keep: 0, every: 'daily' } } });
    expect(() => readConfig({ BILLING_PLANS })).toThrow(/snapshots.pro.keep: must be at least 1/);
    expect(() => readConfig({ BILLING_PLANS })).toThrow(/snapshots.pro.every: must be a duration/);
    expect(() => readConfig({ AGENT_SNAPSHOTS_KEEP: '101' })).toThrow(/AGENT_SNAPSHOTS_KEEP must be at most/);
    write({
      prices: { price_1: 'pro' },
      servers: { huge: {}, max: { types: { nbg1: [] }, mostEurosPerMonth: 0 } },
    });
    expect(() => readConfig({ BILLING_PLANS })).toThrow(/servers.max.types.nbg1: must name at least one/);
    expect(() => readConfig({ BILLING_PLANS })).toThrow(/servers.max.mostEurosPerMonth: must be more/);
    expect(() => readConfig({ BILLING_PLANS })).toThrow(/BILLING_PLANS: servers.*huge/);
    write({ prices: { price_1: 'huge' }, metadata: 'yes', price: 1 });
    const reading = () => readConfig({ BILLING_PLANS });
    expect(reading).toThrow(/BILLING_PLANS: prices.price_1: must be one of starter, pro, max/);
    expect(reading).toThrow(/BILLING_PLANS: metadata: must be true or false/);
    expect(reading).toThrow(/BILLING_PLANS: .*price/);
    write({ prices: {} });
    expect(reading).toThrow(/must name at least one price/);
    expect(() => readConfig({ BILLING_PLANS: 'plans.json' })).toThrow(
      /BILLING_PLANS must be the absolute path/,
    );
    expect(() => readConfig({ BILLING_PLANS: join(folder, 'none') })).toThrow(/cannot be read as JSON/);
  });

  it('treats an empty variable as unset', () => {
    expect(readConfig({ PORT: '', MODE: '', DATA_DIR: '' })).toMatchObject({ port: 8080, mode: 'sandbox' });
  });

  it('names everything that is wrong or missing in live mode, in one message', () => {
    const problems = () =>
      readConfig({ MODE: 'live', HCLOUD_TOKEN: 'short', PROVIDERS: 'builtin', PORT: 'eighty' });
    expect(problems).toThrow(ConfigError);
    for (const name of [
      'DATABASE_URL',
      'API_TOKEN',
      'PULUMI_CONFIG_PASSPHRASE',
      'STRIPE_SECRET_KEY',
      'STRIPE_WEBHOOK_SECRET',
      'HCLOUD_TOKEN',
      'TAILSCALE_OAUTH_CLIENT_ID',
      'PROVIDERS',
      'PORT',
    ]) {
      expect(problems).toThrow(new RegExp(`^  - ${name} `, 'm'));
    }
  });

  it('reads several webhook secrets while one rolls, and prints none of them', () => {
    const config = readConfig(live);
    if (config.mode !== 'live') throw new Error('not live');
    expect(config.accounts.stripe.webhookSecrets.map((secret) => secret.reveal())).toEqual([
      'whsec_new',
      'whsec_old',
    ]);
    expect(JSON.stringify(config)).not.toContain('whsec_');
    expect(JSON.stringify(config)).not.toContain('sk_live_abc');
  });

  it('refuses addresses with a password, without repeating it', () => {
    const reading = () => readConfig({ ...live, HCLOUD_ENDPOINT: 'https://me:hush@proxy.example/v1' });
    expect(reading).toThrow(/HCLOUD_ENDPOINT must be an address without a user name and password/);
    expect(reading).not.toThrow(/hush/);
  });

  it('refuses anything but loopback in sandbox mode, and says which variables it ignores', () => {
    expect(() => readConfig({ HOST: '0.0.0.0' })).toThrow(/loopback/);
    expect(readConfig({ HCLOUD_TOKEN: 'x', STRIPE_SECRET_KEY: 'y' }).notices).toEqual([
      'Sandbox mode ignores STRIPE_SECRET_KEY, HCLOUD_TOKEN: it calls nothing outside this machine.',
    ]);
  });
});

test('sandbox mode says of everything that only accounts are read from that it ignores it', () => {
  const asked = new Set<string>();
  const values: Record<string, string> = { MODE: 'rehearsal', GITHUB_OIDC_AUDIENCE: 'agents' };
  const asking = new Proxy(values, {
    get: (target, name) => {
      asked.add(String(name));
      return target[String(name)];
    },
  });
  readAccounts(new EnvironmentReader(asking), 'github-actions');
  const names = [...asked].filter((name) => name !== 'MODE');
  expect(names).toEqual(expect.arrayContaining(['STRIPE_API_URL', 'GITHUB_REPOSITORY_ID']));
  const [notice] = readConfig(Object.fromEntries(names.map((name) => [name, '1']))).notices;
  for (const name of names) expect(notice).toMatch(new RegExp(`\\b${name}\\b`));
});

describe('EXECUTOR=github-actions', () => {
  const github = {
    ...live,
    EXECUTOR: 'github-actions',
    GITHUB_PAT: 'github_pat_secret',
    GITHUB_OWNER: 'acme',
    GITHUB_REPO: 'agents',
    GITHUB_CALLBACK_SECRET: 'callback secret of 32 characters',
    PUBLIC_URL: 'https://agents.example.com',
  };
  const accountsOf = (environment: Record<string, string | undefined>) => {
    const config = readConfig(environment);
    if (config.mode !== 'live') throw new Error('not live');
    return { notices: config.notices, ...config.accounts };
  };

  it('is asked for by name; local is the default', () => {
    expect(readConfig({}).executor).toBe('local');
    expect(readConfig({ EXECUTOR: 'github-actions' }).executor).toBe('github-actions');
    expect(() => readConfig({ EXECUTOR: 'jenkins' })).toThrow(
      /EXECUTOR must be one of local, github-actions/,
    );
  });

  it('takes its account from the environment, and shows none of its secrets', () => {
    const { github: account, notices } = accountsOf(github);
    expect(account).toMatchObject({ apiUrl: 'https://api.github.com', owner: 'acme', repo: 'agents' });
    expect(account.token?.reveal()).toBe('github_pat_secret');
    expect(account.callbackSecret?.reveal()).toBe('callback secret of 32 characters');
    expect(notices).toEqual([]);
    expect(JSON.stringify(account)).not.toMatch(/github_pat_secret|callback secret/);
  });

  it('names all that is missing at once', () => {
    const { GITHUB_OWNER, GITHUB_REPO, GITHUB_CALLBACK_SECRET, ...rest } = github;
    for (const name of ['GITHUB_OWNER', 'GITHUB_REPO', 'GITHUB_CALLBACK_SECRET'])
      expect(() => readConfig(rest)).toThrow(new RegExp(`^  - ${name} is missing`, 'm'));
    expect(() => readConfig({ ...github, GITHUB_CALLBACK_SECRET: 'short' })).toThrow(/16 characters/);
  });

  it('starts without a token, and says that nothing can be dispatched', () => {
    const { notices, github: account } = accountsOf({ ...github, GITHUB_PAT: undefined });
    expect(account.token).toBeUndefined();
    expect(notices).toEqual([expect.stringMatching(/GITHUB_PAT is missing/)]);
  });

  it('lets the service run without cloud keys, and says what is off', () => {
    const without = { ...github, HCLOUD_TOKEN: undefined, TAILSCALE_API_KEY: undefined };
    const { notices, missingKeys } = accountsOf(without);
    expect(missingKeys).toEqual(['HCLOUD_TOKEN', 'TAILSCALE_OAUTH_CLIENT_ID (or TAILSCALE_API_KEY)']);
    expect(notices).toEqual([
      expect.stringMatching(/Without HCLOUD_TOKEN and .* sweep and project check are off/),
    ]);
    expect(accountsOf(github).missingKeys).toEqual([]);
    const { EXECUTOR, ...local } = without;
    expect(() => readConfig(local)).toThrow(/HCLOUD_TOKEN is missing/);
  });

  it('warns that runners elsewhere cannot report to a loopback address', () => {
    expect(accountsOf({ ...github, PUBLIC_URL: undefined }).notices).toEqual([
      expect.stringMatching(/PUBLIC_URL is not set/),
    ]);
  });
});

describe('readClientConfig', () => {
  it('looks into the data folder, unless the environment says where the service is', () => {
    expect(readClientConfig({ DATA_DIR: '/srv/agents' })).toEqual({
      url: undefined,
      apiToken: undefined,
      sandboxFile: '/srv/agents/sandbox.json',
    });
    const config = readClientConfig({ PUBLIC_URL: 'https://agents.example/', API_TOKEN: 'secret-token' });
    expect(config.url).toBe('https://agents.example');
    expect(config.apiToken?.reveal()).toBe('secret-token');
    expect(() => readClientConfig({ PUBLIC_URL: 'nonsense' })).toThrow('PUBLIC_URL must be an http(s) URL');
  });

  it('refuses real machines if there are none, and says what is missing and how to get it', () => {
    const missing = { AGENT_STACKS_MACHINE_TOOLS: JSON.stringify({ missing: ['they need root'] }) };
    expect(() => readConfig({ SANDBOX_MACHINES: 'real', ...missing })).toThrow(
      'SANDBOX_MACHINES=real: real machines are not available: they need root. Set them up once with: npm run machines',
    );
    expect(() => readConfig({ SANDBOX_MACHINES: 'real' })).toThrow('they are not set up');
    expect(readConfig({ SANDBOX_MACHINES: 'auto', ...missing })).toMatchObject({ mode: 'sandbox' });
    const tools = { base: '/b', headscale: '/h', tailscale: '/t', tailscaled: '/d' };
    const prepared = { AGENT_STACKS_MACHINE_TOOLS: JSON.stringify(tools) };
    const config = readConfig({ SANDBOX_MACHINES: 'real', ...prepared });
    expect(config).toMatchObject({ tools: { machines: tools }, sandbox: { machines: 'real' } });
  });

  it('refuses blank values, and addresses that Pulumi would treat as its own cloud', () => {
    const blank = {
      ...live,
      STRIPE_WEBHOOK_SECRET: ' , ',
      PULUMI_CONFIG_PASSPHRASE: '  ',
      PULUMI_BACKEND_URL: 'zz',
      HOST: 'a b',
    };
    for (const name of ['STRIPE_WEBHOOK_SECRET', 'PULUMI_CONFIG_PASSPHRASE', 'PULUMI_BACKEND_URL', 'HOST']) {
      expect(() => readConfig(blank)).toThrow(new RegExp(`^  - ${name} `, 'm'));
    }
    expect(() => readConfig({ PULUMI_BACKEND_URL: 'https://api.example.com' })).toThrow(/PULUMI_BACKEND_URL/);
    expect(() => readConfig({ PORT: '0x50' })).toThrow(/PORT must be a port number/);
    for (const host of ['localhost:8080', '127.0.0.1.5', '::1::', '[::1]'])
      expect(() => readConfig({ HOST: host })).toThrow(/^ {2}- HOST must be a host name or address$/m);
    expect(readConfig({ HOST: '::1' })).toMatchObject({ publicUrl: 'http://[::1]:8080' });
    expect(readConfig({ PULUMI_BACKEND_URL: 'postgres://127.0.0.1/state', PORT: '0' })).toMatchObject({
      port: 0,
    });
  });
});

describe('values that were copied badly', () => {
  const read = (changed: Record<string, string>) => {
    const config = readConfig({ ...live, ...changed });
    if (config.mode !== 'live') throw new Error('not live');
    return config;
  };

  it.each([' ', '\t', '\n', '\r\n'])('strips %j around a value', (around) => {
    const wrapped = Object.fromEntries(
      Object.entries(live)
        .filter(([name]) => name !== 'PULUMI_CONFIG_PASSPHRASE')
        .map(([name, value]) => [name, `${around}${value}${around}`]),
    );
    const { accounts, apiToken, databaseUrl } = read(wrapped);
    expect(accounts.stripe.webhookSecrets.map((secret) => secret.reveal())).toEqual([
      'whsec_new',
      'whsec_old',
    ]);
    expect(accounts.stripe.secretKey.reveal()).toBe(live.STRIPE_SECRET_KEY);
    expect(accounts.hcloud.projects[0]?.token.reveal()).toBe(live.HCLOUD_TOKEN);
    expect(apiToken.reveal()).toBe(live.API_TOKEN);
    expect(databaseUrl.reveal()).toBe(live.DATABASE_URL);
  });

  it.each(['"', "'"])('strips a pair of %s around a value, and around each webhook secret', (quote) => {
    const { accounts, apiToken } = read({
      API_TOKEN: `${quote}${live.API_TOKEN}${quote}\r`,
      HCLOUD_TOKEN: `${quote}${live.HCLOUD_TOKEN}${quote}`,
      STRIPE_WEBHOOK_SECRET: `${quote}whsec_new${quote},${quote}whsec_old${quote}`,
    });
    expect(apiToken.reveal()).toBe(live.API_TOKEN);
    expect(accounts.hcloud.projects[0]?.token.reveal()).toBe(live.HCLOUD_TOKEN);
    expect(accounts.stripe.webhookSecrets.map((secret) => secret.reveal())).toEqual([
      'whsec_new',
      'whsec_old',
    ]);
  });

  it('refuses all others, in one message that shows none of them', () => {
    const bad = {
      DATABASE_URL: 'postgres://db.example/\nagents',
      API_TOKEN: 'operator token 12345678',
      PULUMI_CONFIG_PASSPHRASE: '"a passphrase"',
      STRIPE_SECRET_KEY: 'sk_live_abc def',
      STRIPE_WEBHOOK_SECRET: 'foo',
      HCLOUD_TOKEN: `${'h'.repeat(63)}"`,
      TAILSCALE_API_KEY: 'tskey-api-\r-x',
      GITHUB_PAT: "github'pat",
      GITHUB_CALLBACK_SECRET: 'sixteen\nletters and more',
    };
    expect(() => read(bad)).toThrow(ConfigError);
    expect(() => read(bad)).not.toThrow(/missing/);
    for (const name of Object.keys(bad)) expect(() => read(bad)).toThrow(new RegExp(`^  - ${name} `, 'm'));
    const message = (() => {
      try {
        return String(read(bad));
      } catch (error) {
        return (error as Error).message;
      }
    })();
    for (const value of Object.values(bad)) expect(message).not.toContain(value);
  });

  it.each(['foo', 'whsec_', 'whsec_new,foo', '"whsec_new', 'whsec_…', 'whsec_new whsec_old'])(
    'refuses the webhook secret %s',
    (secret) => {
      expect(() => read({ STRIPE_WEBHOOK_SECRET: secret })).toThrow(/STRIPE_WEBHOOK_SECRET must be whsec_…/);
    },
  );

  it.each(['a passphrase\r', ' a passphrase', "'a passphrase'", 'a\npassphrase'])(
    'refuses the passphrase %j, of which every character counts',
    (text) => {
      expect(() => read({ PULUMI_CONFIG_PASSPHRASE: text })).toThrow(/PULUMI_CONFIG_PASSPHRASE /);
    },
  );

  it('says which Postgres settings it ignores', () => {
    expect(readConfig({ PGSSLMODE: 'require', PGOPTIONS: '-c x=y' }).notices).toEqual([
      expect.stringMatching(/^PGOPTIONS, PGSSLMODE: ignored/),
    ]);
  });
});
