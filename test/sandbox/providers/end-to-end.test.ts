import { beforeEach, expect, test } from 'vitest';
import { startProviderHost } from '../../../sandbox/providers/host.ts';
import { sandboxSettingsSchema } from '../../../sandbox/settings.ts';
import { startSandbox } from '../../../sandbox/start.ts';
import { createDatabase } from '../../support/postgres.ts';
import { type AgentInputs, findPulumi, openAgentStack } from './agent-stack.ts';
import { startFakeHetzner } from './fake-hetzner.ts';
import { startFakeTailscale } from './fake-tailscale.ts';

const pulumi = findPulumi();
const canary = 'canary-4711-secret';
const inputs: AgentInputs = {
  labels: { 'agent-id': 'a1', 'operation-id': 'o1', 'managed-by': 'agents' },
  trigger: '1',
  userData:
    '#cloud-config\nhostname: agent-a1\nwrite_files:\n  - path: /etc/agent/tailnet-key\n    content: ',
  canary,
  command: 'echo "$ADDRESS has a secret of $(printf %s "$SECRET" | wc -c) bytes"',
};
const tokens = {
  hcloudToken: 'h'.repeat(64),
  tailscaleApiKey: 'tskey-api-1',
  tailscaleOauthClientId: 'client',
  tailscaleOauthClientSecret: 'tskey-client-1',
  stripeSecretKey: 'sk_test_1',
  stripeWebhookSecret: 'whsec_1',
  githubToken: 'github_pat_test',
};
const quiet = { onOutput: () => {} };

beforeEach(({ skip }) => {
  skip(pulumi === undefined, 'no Pulumi CLI in AGENT_STACKS_PULUMI or on the PATH');
});

/** A stack of the real CLI on the builtin providers, which call the sandbox. */
async function setup() {
  await using parts = new AsyncDisposableStack();
  const host = await startProviderHost();
  parts.defer(() => host.stop());
  const database = await createDatabase('sandbox');
  parts.defer(() => database.drop());
  const settings = { serverCreateMs: 40, serverActionMs: 40, machineBootMs: 10, validateAnswers: true };
  const sandbox = await startSandbox({
    databaseUrl: database.url,
    port: 0,
    tokens,
    webhookUrl: 'http://127.0.0.1:1/',
    settings: sandboxSettingsSchema.parse(settings),
  });
  parts.defer(() => sandbox.stop());
  const agent = await openAgentStack(host, {
    pulumi: pulumi!,
    environment: {
      HCLOUD_TOKEN: tokens.hcloudToken,
      HCLOUD_ENDPOINT: `${sandbox.url}/hetzner/v1`,
      TAILSCALE_OAUTH_CLIENT_ID: tokens.tailscaleOauthClientId,
      TAILSCALE_OAUTH_CLIENT_SECRET: tokens.tailscaleOauthClientSecret,
      TAILSCALE_BASE_URL: `${sandbox.url}/tailscale`,
    },
  });
  parts.use(agent);
  const hetzner = async (method: string, path: string) => {
    const headers = { authorization: `Bearer ${tokens.hcloudToken}` };
    const answer = await fetch(`${sandbox.url}/hetzner/v1${path}`, { method, headers });
    return answer.json() as Promise<Record<string, { id: number; labels: Record<string, string> }[]>>;
  };
  const end = parts.move();
  return {
    ...agent,
    list: async (what: 'servers' | 'ssh_keys' | 'firewalls') => (await hetzner('GET', `/${what}`))[what]!,
    deleteServer: (id: number) => hetzner('DELETE', `/servers/${id}`),
    [Symbol.asyncDispose]: () => end.disposeAsync(),
  };
}

test('an agent is created, kept, changed in place, imported, missed and deleted', async () => {
  await using agent = await setup();
  const made = await agent.up(inputs);
  expect(made.summary.resourceChanges).toEqual({ create: 6 });
  expect(made.outputs.ipv4!.value).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
  const tailnetIp = made.outputs.tailnetIp!.value;
  expect(tailnetIp).toMatch(/^100\./);
  expect(made.outputs.said).toEqual({
    value: `${tailnetIp} has a secret of ${canary.length} bytes`,
    secret: true,
  });
  const [server] = await agent.list('servers');
  expect(server).toMatchObject({ name: 'agent-a1', labels: inputs.labels });
  const state = await agent.stateFile();
  expect(state).toContain('"agent-a1"');
  expect(state).not.toMatch(/canary|tskey/);
  expect(made.stdout + made.stderr).not.toMatch(/canary|tskey|warning/i);

  const refreshed = await agent.stack.refresh(quiet);
  expect(Object.keys(refreshed.summary.resourceChanges ?? {})).not.toContain('delete');
  await agent.preview(inputs, { expectNoChanges: true });

  const labels = { ...inputs.labels, plan: 'large' };
  const labelled = await agent.up({ ...inputs, labels, userData: 'other' });
  expect(labelled.summary.resourceChanges).toEqual({ same: 3, update: 3 });
  expect(await agent.list('servers')).toMatchObject([{ id: server!.id, labels }]);

  const triggered = { ...inputs, labels, trigger: '2' };
  expect((await agent.preview(triggered)).changeSummary).toEqual({ same: 5, replace: 1 });
  expect((await agent.up(triggered)).summary.resourceChanges).toEqual({ same: 5, replace: 1 });

  // A server that a crash kept out of the state is imported, not created again.
  await agent.forget(['server', 'configure']);
  const taken = await agent.up({ ...triggered, importServer: String(server!.id) });
  expect(taken.summary.resourceChanges).toEqual({ import: 1, create: 1, same: 4 });
  expect(await agent.list('servers')).toMatchObject([{ id: server!.id }]);
  expect((await agent.up(triggered)).summary.resourceChanges).toEqual({ same: 6 });

  // A refresh notices a server that was deleted by hand.
  await agent.deleteServer(server!.id);
  await expect.poll(() => agent.list('servers')).toEqual([]);
  const without = await agent.stack.refresh(quiet);
  expect(without.summary.resourceChanges).toMatchObject({ delete: 1 });
  expect((await agent.preview(triggered)).changeSummary).toMatchObject({ create: 1 });

  await agent.stack.destroy(quiet);
  for (const what of ['servers', 'ssh_keys', 'firewalls'] as const)
    expect(await agent.list(what)).toEqual([]);
}, 180_000);

test('a server whose creation fails after the order is in the state, and the next run continues with it', async () => {
  await using parts = new AsyncDisposableStack();
  const host = await startProviderHost();
  parts.defer(() => host.stop());
  const hetzner = parts.use(await startFakeHetzner());
  const tailscale = parts.use(await startFakeTailscale());
  tailscale.devices.push({ id: '1', hostname: 'agent-a1', addresses: ['100.64.0.7'] });
  const environment = {
    HCLOUD_TOKEN: tokens.hcloudToken,
    HCLOUD_ENDPOINT: hetzner.url,
    TAILSCALE_API_KEY: tokens.tailscaleApiKey,
    TAILSCALE_BASE_URL: tailscale.url,
  };
  const agent = parts.use(await openAgentStack(host, { environment, pulumi: pulumi! }));

  hetzner.failNextAction({ code: 'action_failed', message: 'Action failed' });
  await expect(agent.up(inputs)).rejects.toThrow('action_failed');
  const [server] = hetzner.servers.keys();
  const { resources } = JSON.parse(await agent.stateFile()).checkpoint.latest;
  const recorded = { type: 'hcloud:index/server:Server', id: String(server) };
  expect(resources).toContainEqual(expect.objectContaining(recorded));
  await agent.up(inputs);
  expect([...hetzner.servers.keys()]).toEqual([server]);
}, 180_000);
