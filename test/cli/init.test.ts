import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Asker, silentAsker } from '../../src/cli/init/asker.ts';
import { type InitOptions, runInit } from '../../src/cli/init/init.ts';
import { formatEnvironmentFile, parseEnvironmentFile } from '../../src/config/environment-file.ts';
import { Secret } from '../../src/secret.ts';
import { ACTED_ON } from '../../src/stripe/acted-on.ts';
import { createWebhookEndpoint } from '../../src/stripe/webhook-endpoints.ts';
import { eventually } from '../support/eventually.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { type SandboxFixture, setup, tokens } from '../support/sandbox.ts';

let sandbox: SandboxFixture;
let database: TestDatabase;
let folder: string;
let known: Record<string, string>;
const PUBLIC_URL = 'http://127.0.0.1:8090';

beforeAll(async () => {
  [sandbox, database] = await Promise.all([setup({ ownWebhook: false }), createDatabase('service')]);
  folder = mkdtempSync(join(tmpdir(), 'agent-stacks-init-'));
  known = {
    MODE: 'rehearsal',
    PORT: '8090',
    PROVIDERS: 'builtin',
    DATABASE_URL: database.url,
    STRIPE_API_URL: sandbox.url,
    STRIPE_SECRET_KEY: tokens.stripeSecretKey,
    HCLOUD_ENDPOINT: `${sandbox.url}/hetzner/v1`,
    HCLOUD_TOKEN: tokens.hcloudToken,
    TAILSCALE_BASE_URL: `${sandbox.url}/tailscale`,
    TAILSCALE_OAUTH_CLIENT_ID: tokens.tailscaleOauthClientId,
    TAILSCALE_OAUTH_CLIENT_SECRET: tokens.tailscaleOauthClientSecret,
  };
  writeFileSync(join(folder, 'clouds.env'), formatEnvironmentFile(Object.entries(known)));
});
afterAll(async () => {
  await sandbox?.close();
  await database?.drop();
  rmSync(folder, { recursive: true });
});

const options = (more: Partial<InitOptions> = {}): InitOptions => ({
  file: join(folder, 'agents.env'),
  answers: join(folder, 'clouds.env'),
  only: undefined,
  replaces: false,
  isSilent: true,
  ...more,
});

/** Answers as told, again and again until an answer is accepted; otherwise takes what is offered. */
function scriptedAsker(told: Record<string, string[]>, confirms: (question: string) => boolean = () => true) {
  const said: string[] = [];
  const asker: Asker = {
    say: (text) => void said.push(text),
    ask: async (question, { initial, check }) => {
      for (;;) {
        const answer = told[question]?.shift() ?? initial ?? '';
        const problem = await check(answer);
        if (problem === undefined) return answer;
        said.push(`refused: ${problem}`);
        if (told[question] === undefined || told[question].length === 0) throw new Error(problem);
      }
    },
    confirm: async (question) => {
      said.push(question);
      return confirms(question);
    },
  };
  return { asker, said: () => said.join('\n') };
}

const written = (file = options().file) => parseEnvironmentFile(readFileSync(file, 'utf8'));
const endpoints = async () => (await sandbox.stripe.webhookEndpoints.list()).data;

test('writes the file from known answers, makes the endpoint and changes the policy', async () => {
  const said: string[] = [];
  await runInit(
    silentAsker((text) => said.push(text)),
    options(),
  );
  expect(statSync(options().file).mode & 0o777).toBe(0o600);
  const file = written();
  expect(file).toMatchObject({ ...known, PUBLIC_URL });
  // One project is how it is without the variable.
  expect(file).not.toHaveProperty('HCLOUD_PROJECTS');
  expect(file.API_TOKEN).toMatch(/^[0-9a-f]{48}$/);
  expect(file.PULUMI_CONFIG_PASSPHRASE).toMatch(/^[0-9a-f]{48}$/);
  expect(file.STRIPE_WEBHOOK_SECRET).toMatch(/^whsec_/);
  const [endpoint, ...others] = await endpoints();
  expect(others).toEqual([]);
  expect(endpoint).toMatchObject({ url: `${PUBLIC_URL}/api/webhooks/stripe`, enabled_events: [...ACTED_ON] });
  const text = said.join('\n');
  expect(text).toMatch(/^\+ {4}\{ "action": "accept", "src": \["tag:controller"\]/m);
  expect(text).toContain('The policy was changed.');
  for (const secret of [
    ...Object.values(file).filter((value) => value.length > 30 && !value.includes('/')),
    tokens.hcloudToken,
  ])
    expect(text).not.toContain(secret);
  expect(text).toContain(`export ENV_FILE=${options().file}`);
});

test('leaves an existing file alone, and replaces it where it may, with the same keys and endpoint', async () => {
  const before = written();
  await expect(
    runInit(
      silentAsker(() => {}),
      options(),
    ),
  ).rejects.toThrow('exists and was left alone');
  const { asker, said } = scriptedAsker({}, () => false);
  await expect(runInit(asker, options({ isSilent: false }))).rejects.toThrow('left alone');
  expect(said()).toContain('exists. Replace it at the end?');
  await runInit(
    silentAsker(() => {}),
    options({ replaces: true }),
  );
  expect(written()).toEqual(before);
  expect(await endpoints()).toHaveLength(1);
});

test('tries an answer at once, says what is wrong with it, and asks again', async () => {
  const file = join(folder, 'again.env');
  const { asker, said } = scriptedAsker({
    HCLOUD_TOKEN: ['short', 'x'.repeat(64), tokens.hcloudToken],
    DATABASE_URL: ['postgres://nobody@127.0.0.1:1/none', database.url],
    TAILSCALE_OAUTH_CLIENT_SECRET: ['tskey-client-wrong', tokens.tailscaleOauthClientSecret],
    STRIPE_SECRET_KEY: ['sk_test_wrong', tokens.stripeSecretKey],
  });
  await runInit(asker, options({ file, isSilent: false }));
  expect(said()).toContain('refused: HCLOUD_TOKEN must be exactly 64 letters');
  expect(said()).toMatch(/refused: .*401 the given token is not valid.*Read & Write/);
  expect(said()).toMatch(/refused: DATABASE_URL cannot be used: .*ECONNREFUSED/);
  expect(said()).toMatch(/refused: .*oauth\/token: 401/);
  expect(said()).toMatch(/refused: .*401 Invalid API Key/);
  expect(said()).toContain('Security → API tokens');
  expect(written(file).HCLOUD_TOKEN).toBe(tokens.hcloudToken);
});

test('asks for the token of each further project, and leaves out what no project has', async () => {
  const file = join(folder, 'projects.env');
  const issued = await fetch(`${sandbox.url}/sandbox/credentials`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ vendor: 'hetzner', permission: 'write', project: 'us' }),
  });
  const { token } = (await issued.json()) as { token: string };
  const { asker, said } = scriptedAsker({
    HCLOUD_PROJECTS: ['default', 'default=mars', 'default=eu, us-1=us:40'],
    HCLOUD_TOKEN_US_1: [tokens.hcloudToken, 'x'.repeat(64), token],
  });
  await runInit(asker, options({ file, isSilent: false }));
  expect(said()).toContain('refused: HCLOUD_PROJECTS must be projects with the places');
  expect(said()).toContain('refused: HCLOUD_PROJECTS names an unknown place "mars"');
  expect(said()).toContain('refused: HCLOUD_TOKEN_US_1 is the token of another project');
  expect(said()).toMatch(/refused: .*401 the given token is not valid.*set HCLOUD_TOKEN_US_1 to it/);
  expect(said()).toContain('Hetzner’s API token of the project us-1');
  const several = {
    HCLOUD_PROJECTS: 'default=eu, us-1=us:40',
    HCLOUD_TOKEN: tokens.hcloudToken,
    HCLOUD_TOKEN_US_1: token,
  };
  expect(written(file)).toMatchObject(several);
  // A start refuses the token of a project without a name.
  const fewer = scriptedAsker({ HCLOUD_PROJECTS: ['us-1=all'] });
  await runInit(fewer.asker, options({ file, isSilent: false, replaces: true, answers: undefined }));
  expect(fewer.said()).toContain('HCLOUD_TOKEN is left out: HCLOUD_PROJECTS does not name its project.');
  expect(written(file)).toMatchObject({ HCLOUD_PROJECTS: 'us-1=all', HCLOUD_TOKEN_US_1: token });
  expect(written(file)).not.toHaveProperty('HCLOUD_TOKEN');
});

test('makes another endpoint for one whose secret was lost, and removes that', async () => {
  const account = { secretKey: new Secret(tokens.stripeSecretKey), apiUrl: sandbox.url };
  for (const { id } of await endpoints()) await sandbox.stripe.webhookEndpoints.del(id);
  const lost = await createWebhookEndpoint(account, `${PUBLIC_URL}/api/webhooks/stripe`);
  await runInit(
    silentAsker(() => {}),
    options({ only: 'webhook' }),
  );
  const [endpoint, ...others] = await endpoints();
  expect(others).toEqual([]);
  expect(endpoint?.id).not.toBe(lost.id);
  // It completes one that it knows.
  await sandbox.stripe.webhookEndpoints.update(endpoint!.id, {
    enabled_events: ['invoice.paid'],
    disabled: true,
  });
  await runInit(
    silentAsker(() => {}),
    options({ only: 'webhook' }),
  );
  expect(await endpoints()).toMatchObject([{ id: endpoint!.id, status: 'enabled' }]);
  expect((await endpoints())[0]!.enabled_events).toHaveLength(ACTED_ON.length);
});

test('asks for the secret of an endpoint that a person made', async () => {
  for (const { id } of await endpoints()) await sandbox.stripe.webhookEndpoints.del(id);
  const url = `${PUBLIC_URL}/api/webhooks/stripe`;
  const made = await sandbox.stripe.webhookEndpoints.create({ url, enabled_events: ['*'] });
  const file = join(folder, 'hand.env');
  const { asker, said } = scriptedAsker(
    { 'The endpoint’s signing secret (whsec_…)': ['nonsense', made.secret!] },
    (question) => !question.startsWith('Replace it'),
  );
  await runInit(asker, options({ file, isSilent: false }));
  expect(said()).toContain('was made by hand');
  expect(said()).toContain('refused: STRIPE_WEBHOOK_SECRET must be whsec_');
  expect(written(file).STRIPE_WEBHOOK_SECRET).toBe(made.secret);
  expect(await endpoints()).toMatchObject([{ id: made.id }]);
});

test('does not change a policy that somebody changes meanwhile', async () => {
  const acl = `${sandbox.url}/tailscale/api/v2/tailnet/-/acl`;
  const put = (body: string) =>
    fetch(acl, { method: 'POST', headers: { authorization: `Bearer ${tokens.tailscaleApiKey}` }, body });
  await put('{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}');
  const theirs = '{"acls": []}';
  const asker: Asker = {
    say: () => {},
    ask: async () => '',
    confirm: async () => (await put(theirs)).ok,
  };
  await expect(runInit(asker, options({ only: 'policy' }))).rejects.toThrow('changed meanwhile');
  const now = await fetch(acl, {
    headers: { authorization: `Bearer ${tokens.tailscaleApiKey}`, accept: 'application/hujson' },
  });
  expect(await now.text()).toBe(theirs);
});

test('asks in a terminal without showing secrets, and Ctrl-C writes nothing', async ({ skip }) => {
  skip(!existsSync('/usr/bin/script'), 'no terminal can be opened here: the program script is missing');
  const file = join(folder, 'terminal.env');
  const command = `'${process.execPath}' src/cli/agents.ts init --file '${file}'`;
  const child = spawn('/usr/bin/script', ['-qefc', command, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let shown = '';
  child.stdout.on('data', (chunk) => {
    shown += chunk;
  });
  const until = (text: string) =>
    eventually(text, () => shown.includes(text), { withinSeconds: 60, describe: () => shown });
  await until('PUBLIC_URL');
  child.stdin.write('https://agents.example.com\r');
  await until('DATABASE_URL');
  child.stdin.write('postgres://a:hidden@127.0.0.1:1/a\r');
  await until('ECONNREFUSED');
  expect(shown).not.toContain('hidden');
  child.stdin.write('\x03');
  const [code] = await once(child, 'exit');
  expect(shown).toContain('Stopped.');
  expect(code).toBe(1);
  expect(existsSync(file)).toBe(false);
});
