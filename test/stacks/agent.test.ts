import * as pulumi from '@pulumi/pulumi';
import * as engine from '@pulumi/pulumi/runtime/settings.js';
import { beforeEach, describe, expect, test } from 'vitest';
import type { AgentInputs, FoundResources } from '../../stacks/inputs.ts';
import { createProgram } from '../../stacks/program.ts';

interface Registered {
  type: string;
  /** As sent to the engine: secrets are marked. */
  sent: Record<string, unknown>;
  inputs: Record<string, unknown>;
  importId: string;
  ignored: string[];
  createTimeout: string;
}

interface Request {
  getType(): string;
  getObject(): { toJavaScript(): Record<string, unknown> };
  getImportid(): string;
  getIgnorechangesList(): string[];
  getCustomtimeouts(): { getCreate(): string } | undefined;
}

const SECRET_SIGNATURE = '1b47061264138c4ac30d75fd1eb44270';
let registered: Registered[];
let lookups: Record<string, unknown>[];

beforeEach(async () => {
  registered = [];
  lookups = [];
  await pulumi.runtime.setMocks(
    {
      newResource: (args) => {
        const state = { ...args.inputs } as Record<string, unknown>;
        if (args.type.includes('TailnetKey')) state.key = 'tskey-auth-canary';
        if (args.type.includes('Server'))
          Object.assign(state, { ipv4Address: '192.0.2.1', ipv6Address: '2001:db8::1' });
        return { id: args.type.includes('Server') ? '42' : '7', state };
      },
      call: (args) => {
        lookups.push({ token: args.token, ...args.inputs });
        return { name: 'agent-a1.tail.ts.net', addresses: ['fd7a::1', '100.64.0.1'] };
      },
    },
    'agents',
    'agent-a1',
    false,
  );
  recordRequests();
});

/** Records the program's complete requests to the engine. Mocks only see the inputs. */
function recordRequests(): void {
  // The SDK's type of a mocked monitor has no methods.
  const monitor = engine.getMonitor() as unknown as {
    registerResource(request: Request, done: unknown): unknown;
  };
  const register = monitor.registerResource.bind(monitor);
  monitor.registerResource = (request, done) => {
    const sent = request.getObject().toJavaScript();
    if (request.getType() !== 'pulumi:pulumi:Stack')
      registered.push({
        type: request.getType(),
        sent,
        inputs: plain(sent) as Record<string, unknown>,
        importId: request.getImportid(),
        ignored: request.getIgnorechangesList(),
        createTimeout: request.getCustomtimeouts()?.getCreate() ?? '',
      });
    return register(request, done);
  };
}

/** Without the markers of secrets. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  if (entries.some(([, part]) => part === SECRET_SIGNATURE))
    return plain((value as { value: unknown }).value);
  return Object.fromEntries(entries.map(([key, part]) => [key, plain(part)]));
}

const inputs: AgentInputs = {
  agentId: 'a1',
  operationId: 'b2f5ff47-4366-4b59-8f53-000000000001',
  project: 'default',
  location: 'nbg1',
  serverType: 'cx23',
  image: 'debian-12',
  firewallId: 77,
  sshPublicKey: 'ssh-ed25519 AAAA',
  hostPublicKey: 'ssh-ed25519 BBBB',
  keyGeneration: 3,
  healthPort: 8088,
  configurationVersion: 'v1',
  joinTimeoutSeconds: 180,
};
const secrets = { hostPrivateKey: 'host-private-canary' };

async function make(found?: FoundResources, changed: Partial<AgentInputs> = {}) {
  const program = createProgram({
    stack: 'agent',
    inputs: { ...inputs, ...changed },
    secrets,
    ...(found === undefined ? {} : { found }),
  });
  const outputs = await resolved(await program());
  return { outputs, of: (type: string) => registered.find((one) => one.type.endsWith(type))! };
}

async function resolved(values: Record<string, unknown>): Promise<Record<string, unknown>> {
  const outputs = await new Promise<Record<string, unknown>>((resolve) => {
    pulumi.output(values).apply((all) => resolve(all as Record<string, unknown>));
  });
  // No output depends on the configuration, which is registered last. The SDK's types hide `waitForRPCs`.
  await (engine as unknown as { waitForRPCs(): Promise<void> }).waitForRPCs();
  return outputs;
}

describe('an agent’s stack', () => {
  test('has a tailnet key, an SSH key, a server and its configuration, and returns the contract’s outputs', async () => {
    const { outputs } = await make();
    expect(registered.map((one) => one.type).sort()).toEqual([
      'command:local:Command',
      'hcloud:index/server:Server',
      'hcloud:index/sshKey:SshKey',
      'tailscale:index/tailnetKey:TailnetKey',
    ]);
    expect(outputs).toEqual({
      serverId: '42',
      serverName: 'agent-a1',
      ipv4: '192.0.2.1',
      ipv6: '2001:db8::1',
      tailnetIp: '100.64.0.1',
      tailnetName: 'agent-a1.tail.ts.net',
    });
  });

  test('gives every cloud resource its deterministic name and the three labels', async () => {
    const { of } = await make();
    const labels = { 'agent-id': 'a1', 'operation-id': inputs.operationId, 'managed-by': 'agents' };
    for (const type of [':Server', ':SshKey'])
      expect(of(type).inputs).toMatchObject({ name: 'agent-a1', labels });
    expect(of(':TailnetKey').inputs.description).toBe('agent-a1 3');
    expect(lookups).toEqual([
      { token: 'tailscale:index/getDevice:getDevice', hostname: 'agent-a1', waitFor: '180s' },
    ]);
  });

  test('says nothing about its agent in the names of its server and keys, if they have their own', async () => {
    const { of } = await make({}, { serverName: 'srv-0123456789abcdef0123' });
    for (const type of [':Server', ':SshKey'])
      expect(of(type).inputs).toMatchObject({
        name: 'srv-0123456789abcdef0123',
        labels: { 'agent-id': 'a1' },
      });
    expect(of(':TailnetKey').inputs.description).toBe('srv-0123456789abcdef0123 3');
    expect(of(':Server').inputs.userData).toContain('hostname: srv-0123456789abcdef0123');
  });

  test('has a tailnet key that is single-use, tagged, preauthorized, short-lived, permanent and never recreated', async () => {
    const { of } = await make();
    expect(of(':TailnetKey').inputs).toMatchObject({
      reusable: false,
      ephemeral: false,
      preauthorized: true,
      expiry: 3600,
      tags: ['tag:agent'],
      recreateIfInvalid: 'never',
    });
  });

  test('has a server of the plan behind the shared firewall, which newer images and keys do not replace', async () => {
    const { of } = await make();
    const server = of(':Server');
    expect(server.inputs).toMatchObject({
      serverType: 'cx23',
      image: 'debian-12',
      location: 'nbg1',
      firewallIds: [77],
      sshKeys: ['7'],
    });
    const theirs = ['backups', 'deleteProtection', 'placementGroupId', 'rebuildProtection'];
    expect(server.ignored.sort()).toEqual([...theirs, 'image', 'labels', 'sshKeys', 'userData'].sort());
    expect(server.createTimeout).toBe('10m');
    // The same key with another comment is another one to the official provider.
    expect(of(':SshKey').ignored.sort()).toEqual(['labels', 'publicKey']);
  });

  test('sends user data to the engine as a secret, with the key and the hostname in it', async () => {
    const { of } = await make();
    expect(JSON.stringify(of(':Server').sent.userData)).toContain(SECRET_SIGNATURE);
    expect(of(':Server').inputs.userData).toContain('tskey-auth-canary');
    expect(of(':Server').inputs.userData).toContain('hostname: agent-a1');
  });

  test('sends no secret to the engine unmarked, in any input of any resource', async () => {
    await make();
    for (const { type, sent } of registered) {
      for (const [name, value] of Object.entries(sent)) {
        const text = JSON.stringify(value) ?? '';
        if (text.includes('canary')) expect(text, `${type} ${name}`).toContain(SECRET_SIGNATURE);
      }
    }
  });

  test('has no secret and nothing of this machine in the configuration’s command and environment', async () => {
    const { of } = await make();
    const command = of(':Command').inputs;
    expect(command).toMatchObject({
      create: 'exec "$AGENT_STACKS_CONFIGURE"',
      environment: { AGENT_ID: 'a1', AGENT_HOST: '100.64.0.1', AGENT_HEALTH_PORT: '8088' },
      logging: 'none',
      addPreviousOutputInEnv: false,
    });
    expect(Object.keys(command.environment as object)).toHaveLength(3);
    expect(JSON.stringify(command)).not.toMatch(/canary|PRIVATE|\/root|\/home/);
    expect(command).not.toHaveProperty('delete');
  });

  test('configures again only for a new server or a new playbook', async () => {
    const { of } = await make();
    expect(of(':Command').inputs.triggers).toEqual(['42', 'v1']);
    registered = [];
    const again = await make(undefined, { configuredBy: 'operation 1' });
    expect(again.of(':Command').inputs.triggers).toEqual(['42', 'v1', 'operation 1']);
  });

  test('reports the user data before a rebuild, and does not look up the device', async () => {
    const told: string[] = [];
    const device = { tailnetIp: '100.64.0.9', tailnetName: 'agent-a1.tail.ts.net' };
    const program = createProgram({ stack: 'agent', inputs, secrets, device }, (text) => told.push(text));
    const outputs = await resolved(await program());
    expect(outputs).toMatchObject(device);
    expect(Object.keys(outputs)).toHaveLength(6);
    expect(lookups).toEqual([]);
    expect(told).toEqual([expect.stringMatching(/host-private-canary[\s\S]*tskey-auth-canary/)]);
  });

  test('imports only the resources that were found, by id', async () => {
    await make();
    expect(registered.map((one) => one.importId)).toEqual(['', '', '', '']);
    registered = [];
    const both = await make({ serverId: '42', sshKeyId: '7' });
    expect([both.of(':Server').importId, both.of(':SshKey').importId]).toEqual(['42', '7']);
    expect(both.of(':TailnetKey').importId).toBe('');
    registered = [];
    const one = await make({ sshKeyId: '7' });
    expect([one.of(':Server').importId, one.of(':SshKey').importId]).toEqual(['', '7']);
  });

  test('has no server and no outputs while it is hibernated, and the same keys as before', async () => {
    await make();
    const before = registered
      .filter(({ type }) => /Key$/.test(type))
      .map(({ type, inputs }) => [type, inputs]);
    registered = [];
    const { outputs } = await make(undefined, { hibernated: { snapshotId: '9001' } });
    expect(outputs).toEqual({});
    expect(registered.map(({ type, inputs }) => [type, inputs])).toEqual(before);
  });

  test('makes a waking server from the snapshot, without any secret in its user data', async () => {
    const device = { tailnetIp: '100.64.0.9', tailnetName: 'agent-a1.tail.ts.net' };
    const program = createProgram({ stack: 'agent', inputs, secrets, device, restoredFrom: '9001' });
    expect(await resolved(await program())).toMatchObject(device);
    const made = registered.find(({ type }) => type.endsWith(':Server'))!;
    expect(made.inputs).toMatchObject({ name: 'agent-a1', image: '9001' });
    expect(made.inputs.userData).toContain('ssh_deletekeys: false');
    expect(JSON.stringify(made.inputs.userData)).not.toContain('canary');
    expect(made.ignored).toContain('image');
  });

  test('makes a waking server without a device join as a new one, by a secret in its user data alone', async () => {
    const program = createProgram({ stack: 'agent', inputs, secrets, restoredFrom: '9001' });
    await resolved(await program());
    const made = registered.find(({ type }) => type.endsWith(':Server'))!;
    expect(made.inputs.image).toBe('9001');
    expect(made.inputs.userData).toContain('tskey-auth-canary');
    expect(JSON.stringify(made.inputs.userData)).not.toContain('host-private-canary');
    expect(lookups).toMatchObject([{ hostname: 'agent-a1' }]);
  });

  test('passes a custom login server to the machine', async () => {
    const { of } = await make(undefined, { loginServer: 'https://login.example' });
    expect(of(':Server').inputs.userData).toContain('--login-server=https://login.example');
  });
});

test('the foundation is one firewall that only lets in WireGuard', async () => {
  const outputs = await resolved(
    await createProgram({ stack: 'foundation', inputs: { project: 'default' } })(),
  );
  expect(outputs).toEqual({ firewallId: '7' });
  expect(registered).toHaveLength(1);
  expect(registered[0]).toMatchObject({
    importId: '',
    inputs: { name: 'agents-default', labels: { 'managed-by': 'agents' } },
  });
  const rules = registered[0]!.inputs.rules as Record<string, unknown>[];
  expect(rules).toHaveLength(1);
  expect(rules[0]).toMatchObject({
    direction: 'in',
    protocol: 'udp',
    port: '41641',
    sourceIps: ['0.0.0.0/0', '::/0'],
  });
});

test('an existing firewall is adopted by the foundation', async () => {
  const program = createProgram({
    stack: 'foundation',
    inputs: { project: 'default' },
    found: { firewallId: '5' },
  });
  await resolved(await program());
  expect(registered[0]!.importId).toBe('5');
});
