import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createVault } from '../../src/agents/secrets.ts';
import { Secret } from '../../src/secret.ts';
import { orderFault } from '../support/clouds.ts';
import { type Installation, makeSite, type Site, startInstallation } from '../support/installation.ts';
import {
  addSecretProbes,
  filesBelow,
  findSecretProbes,
  type ProcessWatch,
  type SecretProbes,
  watchProcesses,
} from '../support/secret-probes.ts';
import { paidCheckout } from '../support/stripe-events.ts';

const agentId = `canary-${randomUUID().slice(0, 8)}`;
const failingId = `broken-${randomUUID().slice(0, 8)}`;
const probes: SecretProbes = new Map();
const said: { where: string; text: string }[] = [];

let site: Site;
let installation: Installation;
let watch: ProcessWatch;

/** Everything runs once; the tests below examine what it left. */
beforeAll(async () => {
  site = await makeSite();
  watch = watchProcesses(['PULUMI_BACKEND_URL']);
  installation = await startInstallation(site);
  // One provision succeeds; Hetzner refuses another at first, to cover the failure paths.
  await orderFault(installation.connection, {
    area: 'hetzner',
    method: 'POST',
    path: '/servers',
    times: 1,
    effect: { kind: 'status', status: 500 },
  });
  for (const id of [failingId, agentId])
    await installation.deliver(paidCheckout({ agentId: id, userId: 'user-1', region: 'eu-central' }));
  for (const id of [failingId, agentId]) await installation.untilAgent(id, 'running', 240);
  await collectSecrets();
  for (const words of [
    ['pulumi', '--', 'stack', 'export', '-s', `agent-${agentId}`],
    ['pulumi', '--', 'preview', '-s', `agent-${agentId}`, '--diff'],
    ['agents', '--', 'logs', agentId, '--json'],
    ['agents', '--', 'refresh', agentId, '--wait'],
    ['agents', '--', 'destroy', failingId, '--yes', '--wait'],
  ]) {
    const waits = words.includes('--wait');
    const outcome = await (waits ? installation.agents(...words.slice(2)) : installation.run(words));
    const { code, stdout, stderr } = outcome;
    expect(`${words.join(' ')}: ${code}${code === 0 ? '' : stderr}`).toBe(`${words.join(' ')}: 0`);
    said.push({ where: `npm run ${words.join(' ')}`, text: stdout + stderr });
  }
}, 600_000);

afterAll(async () => {
  watch?.stop();
  await installation?.stop();
  await site?.remove();
}, 90_000);

async function collectSecrets(): Promise<void> {
  const { sandboxTokens, ...secrets } = JSON.parse(readFileSync(join(site.dataDir, 'secrets.json'), 'utf8'));
  for (const [name, value] of Object.entries({ ...secrets, ...sandboxTokens }))
    addSecretProbes(probes, name, String(value));
  const { databaseUrl, pulumiPassphrase } = installation.connection;
  addSecretProbes(probes, 'the password of the database', decodeURIComponent(new URL(databaseUrl).password));
  const vault = createVault(new Secret(pulumiPassphrase));
  for (const id of [agentId, failingId]) {
    const [{ secrets: sealed }] = await installation.query('select secrets from agents where agent_id = $1', [
      id,
    ]);
    const keys = vault.open(id, sealed);
    for (const name of ['sshPrivateKey', 'hostPrivateKey', 'nextHostPrivateKey'] as const)
      addSecretProbes(probes, `${name} of ${id}`, keys[name]);
    const words = ['pulumi', '--', 'stack', 'export', '-s', `agent-${id}`, '--show-secrets'];
    const key = /tskey-auth-[\w-]+/.exec((await installation.npm(words)).stdout)?.[0];
    addSecretProbes(probes, `the tailnet key of ${id}`, key ?? '');
  }
  for (const url of watch.environments.get('PULUMI_BACKEND_URL') ?? [])
    if (/^postgres/.test(url))
      addSecretProbes(probes, `the login ${new URL(url).username}`, new URL(url).password);
}

const found = (places: { where: string; text: string }[]) =>
  places.flatMap(({ where, text }) => findSecretProbes(probes, where, text));

describe('no secret of the installation appears', () => {
  it('(all of them are searched for)', () => {
    const kinds = [...probes.keys()];
    for (const kind of [
      'apiToken',
      'pulumiPassphrase',
      'githubCallbackSecret',
      'hcloudToken',
      'tailscaleApiKey',
      'stripeSecretKey',
      'stripeWebhookSecret',
      'the password of the database',
      `the tailnet key of ${agentId}`,
      `the tailnet key of ${failingId}`,
    ])
      expect(kinds).toContain(kind);
    expect(kinds.filter((kind) => kind.includes('PrivateKey')).length).toBeGreaterThanOrEqual(12);
    // Every attempt has its own login, and there were at least three.
    expect(kinds.filter((kind) => kind.startsWith('the login a')).length).toBeGreaterThanOrEqual(3);
    // The search works: secrets are found where they belong.
    const kept = readFileSync(join(site.dataDir, 'secrets.json'), 'utf8');
    expect(findSecretProbes(probes, 'secrets.json', kept).length).toBeGreaterThanOrEqual(8);
  });

  it('in a file of DATA_DIR, except those that store them', () => {
    const keepers = /^(postgres\/cluster\/|postgres\/connection\.json$|secrets\.json$|sandbox\.json$)/;
    const files = filesBelow(site.dataDir, keepers);
    expect(files.map(({ path }) => path)).toEqual(
      expect.arrayContaining([
        join(site.dataDir, 'logs/service.log'),
        expect.stringContaining(
          process.env.AGENT_STACKS_E2E_EXECUTOR === 'github-actions' ? 'logs/github/' : 'logs/configure/',
        ),
        join(site.dataDir, 'postgres/server.log'),
      ]),
    );
    expect(found(files.map(({ path, text }) => ({ where: path, text })))).toEqual([]);
  });

  it('on the terminal, or in the output of commands', () => {
    expect(found([{ where: 'the terminal', text: installation.terminal() }, ...said])).toEqual([]);
  });

  it('in a row of the service’s database', async () => {
    const tables = await installation.query(
      `select format('%I.%I', table_schema, table_name) as name from information_schema.tables
       where table_schema not in ('pg_catalog', 'information_schema')`,
    );
    expect(tables.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['public.agents', 'public.operation_events', 'pgboss.job']),
    );
    const rows: { where: string; text: string }[] = [];
    for (const { name } of tables)
      for (const { text } of await installation.query(`select row_to_json(t)::text as text from ${name} t`))
        rows.push({ where: name, text });
    expect(rows.filter(({ where }) => where === 'public.operation_events').length).toBeGreaterThan(20);
    expect(found(rows)).toEqual([]);
  }, 90_000);

  it('in plain text in Pulumi’s state, nor does an endpoint', async () => {
    const rows = await installation.query('select key, data::text as text from pulumi_state', [], 'pulumi');
    const decoded = rows.map(({ key, text }) => ({
      where: key,
      text: `${text}\n${Buffer.from(JSON.parse(text).data, 'base64').toString()}`,
    }));
    expect(decoded.some(({ text }) => text.includes('TailnetKey') && text.includes('"ciphertext"'))).toBe(
      true,
    );
    const { hcloudEndpoint, tailscaleBaseUrl } = installation.connection;
    const endpoints = decoded.filter(
      ({ text }) => text.includes(hcloudEndpoint) || text.includes(tailscaleBaseUrl),
    );
    expect(endpoints).toEqual([]);
    expect(found(decoded)).toEqual([]);
  });

  it('in an answer of the service', async () => {
    const { body: document } = await installation.ask('/openapi.json');
    const paths = Object.entries(document.paths as Record<string, object>)
      .filter(([, methods]) => 'get' in methods)
      .map(([path]) => path);
    const { body: operations } = await installation.ask(`/api/agents/${agentId}/operations`);
    const concrete = paths.flatMap((path) =>
      path.includes('{operationId}')
        ? operations.items.map(({ operationId }: { operationId: string }) =>
            path.replace('{operationId}', operationId),
          )
        : [path.replace('{agentId}', agentId).replace('{name}', 'creates')],
    );
    expect(concrete.length).toBeGreaterThan(10);
    const pages = [
      '/',
      `/agents/${agentId}`,
      `/agents/${agentId}/destroy`,
      `/agents/${failingId}`,
      '/attention',
      '/sign-in',
    ];
    const answers = await Promise.all([...concrete, ...pages].map(answerOf));
    // Nothing of this agent was deleted.
    expect(answers.filter(({ status }) => status !== 200)).toMatchObject([
      { where: expect.stringContaining('/receipt'), status: 404 },
    ]);
    expect(found(answers)).toEqual([]);
  }, 90_000);

  it('in the arguments of any process at any moment', () => {
    const seen = [...watch.arguments].map((text) => text.replaceAll('\0', ' '));
    for (const part of ['engine/child.ts', 'pulumi up', 'pulumi destroy', 'configur', 'pulumi preview'])
      expect(
        seen.filter((text) => text.includes(part)),
        part,
      ).not.toEqual([]);
    expect(found(seen.map((text) => ({ where: `the arguments: ${text.slice(0, 200)}`, text })))).toEqual([]);
  });
});

/** Reads the whole answer; of the endless feed, five seconds' worth. */
async function answerOf(path: string): Promise<{ where: string; status: number; text: string }> {
  const response = await fetch(`${installation.connection.url}${path}`, {
    headers: { authorization: `Bearer ${installation.connection.apiToken}` },
    redirect: 'manual',
    ...(path === '/api/events' ? { signal: AbortSignal.timeout(5_000) } : {}),
  });
  let text = JSON.stringify([...response.headers]);
  try {
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) text += chunk;
  } catch (error) {
    if ((error as Error).name !== 'TimeoutError') throw error;
  }
  return { where: path, status: response.status, text };
}
