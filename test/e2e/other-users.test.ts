import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import resourceProto from '@pulumi/pulumi/proto/resource_pb.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toStruct } from '../../sandbox/providers/grpc.ts';
import { orderFault } from '../support/clouds.ts';
import { eventually } from '../support/eventually.ts';
import { type Installation, makeSite, type Site, startInstallation } from '../support/installation.ts';
import { findInstallationProcesses } from '../support/installation-processes.ts';
import { type ListeningSocket, listeningSockets } from '../support/listening-sockets.ts';
import { becomeOtherUser, needsRoot, type OtherUser } from '../support/other-user.ts';

/** The client preface of HTTP/2, and so of gRPC: every such server answers it. */
const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]).toString('base64');

let site: Site;
let installation: Installation;
let nobody: OtherUser;
/** All listening sockets during an operation, with their programs. */
let sockets: (ListeningSocket & { program: string })[];

const PROGRAMS: [RegExp, string][] = [
  [/src\/main\.ts/, 'service'],
  [/\/sandbox\/main\.ts/, 'sandbox'],
  [/engine\/child\.ts/, 'engine'],
  [/^\S*pulumi /, 'cli'],
  [/bin\/postgres /, 'postgres'],
];

function listening(): typeof sockets {
  return findInstallationProcesses(site.dataDir).flatMap(({ pid, command }) => {
    const program = PROGRAMS.find(([pattern]) => pattern.test(command))?.[1] ?? command;
    return listeningSockets([pid]).map((socket) => ({ ...socket, program }));
  });
}

const portsOf = (program: string) => [
  ...new Set(sockets.flatMap((socket) => (socket.program === program ? [socket.port] : []))),
];

/** Keeps an operation in progress: Hetzner takes long to create the server. */
async function untilUnderWay(): Promise<void> {
  await eventually('the demo agent runs', () => /SUCCEEDED after/.test(installation.terminal()), {
    withinSeconds: 90,
    describe: installation.terminal,
  });
  await orderFault(installation.connection, {
    area: 'hetzner',
    method: 'POST',
    path: '/servers',
    times: 1,
    effect: { kind: 'latency', ms: 60_000 },
  });
  const made = await installation.ask('/api/agents', { json: { userId: 'user-1', region: 'us-east' } });
  expect(made.status).toBe(202);
  await eventually(
    'Hetzner is asked for a server',
    async () => {
      const path = `/api/agents/${made.body.agentId}/operations`;
      const { operationId } = (await installation.ask(path)).body.items[0];
      const told = await installation.query(
        'select data::text as text from operation_events where operation_id = $1',
        [operationId],
      );
      return told.some(({ text }) => text.includes('creating server ('));
    },
    { withinSeconds: 60 },
  );
}

describe.skipIf(needsRoot !== undefined)(`another user of this machine (${needsRoot ?? 'as nobody'})`, () => {
  beforeAll(async () => {
    site = await makeSite({ SANDBOX_DEMO_ORDER: 'on' });
    installation = await startInstallation(site);
    nobody = await becomeOtherUser();
    await untilUnderWay();
    sockets = listening();
  }, 240_000);

  afterAll(async () => {
    await nobody?.[Symbol.asyncDispose]();
    await installation?.stop();
    await site?.remove();
  }, 120_000);

  it('finds only the sockets that are examined here', () => {
    expect([...new Set(sockets.map(({ program }) => program))].sort()).toEqual([
      'cli',
      'engine',
      'postgres',
      'sandbox',
      'service',
    ]);
    // Everything is TCP on loopback: no socket files, no unnamed sockets, no datagrams.
    expect(
      sockets.filter(({ kind, address }) => kind !== 'tcp' || !address.startsWith('127.0.0.1:')),
    ).toEqual([]);
    expect(portsOf('service')).toEqual([Number(new URL(installation.connection.url).port)]);
    expect(portsOf('sandbox')).toEqual([Number(new URL(installation.connection.stripeApiUrl).port)]);
    expect(portsOf('postgres')).toEqual([Number(new URL(installation.connection.databaseUrl).port)]);
    // Three providers and the SDK's server.
    expect(portsOf('engine').length).toBeGreaterThanOrEqual(4);
  });

  it('reads nothing in DATA_DIR and no process’s environment', async () => {
    const names = readdirSync(site.dataDir, { recursive: true, encoding: 'utf8' });
    expect(names).toEqual(expect.arrayContaining(['sandbox.json', 'secrets.json', 'logs/service.log']));
    const paths = [
      ...['', 'sandbox.json', 'secrets.json', 'logs', 'logs/service.log', 'postgres', 'tmp'].map((name) =>
        join(site.dataDir, name),
      ),
      ...findInstallationProcesses(site.dataDir).map(({ pid }) => `/proc/${pid}/environ`),
    ];
    for (const path of paths)
      expect(`${path} ${await nobody.try({ kind: 'read', path })}`).toMatch(
        / refused (EACCES|EPERM|ENOENT|ESRCH)$/,
      );
  });

  it('gets no answer from an engine process, which answers its own user', async () => {
    await using own = await becomeOtherUser(0);
    for (const port of portsOf('engine')) {
      expect(await own.try({ kind: 'bytes', port, bytes: PREFACE })).not.toBe('');
      expect(await nobody.try({ kind: 'bytes', port, bytes: PREFACE })).toBe('');
      for (const method of ['ResourceProvider/GetPluginInfo', 'LanguageRuntime/GetPluginInfo'])
        expect(await nobody.try({ kind: 'grpc', port, method: `/pulumirpc.${method}` })).toMatch(
          /^UNAVAILABLE/,
        );
    }
  }, 90_000);

  it('runs no command through the CLI, whose ports answer everyone', async () => {
    const answers: string[] = [];
    for (const port of portsOf('cli'))
      for (const token of ['command:local:run', 'command:local:Command'])
        answers.push(
          await nobody.try({
            kind: 'grpc',
            port,
            method: '/pulumirpc.ResourceMonitor/Invoke',
            message: invocation(token, { command: `id > ${join(site.dataDir, 'reached')}` }),
          }),
        );
    expect(readdirSync(site.dataDir)).not.toContain('reached');
    expect(answers.filter((answer) => answer.includes('it is not run'))).toHaveLength(1);
  }, 60_000);

  it('can do nothing at the service’s address without the token', async () => {
    const { url } = installation.connection;
    for (const [method, path, status] of [
      ['GET', '/api/agents', '401'],
      ['POST', '/api/agents', '401'],
      ['GET', '/api/orders', '401'],
      ['GET', '/api/events', '401'],
      ['POST', '/api/agents/x/destroy', '401'],
      ['GET', '/metrics', '401'],
      ['POST', '/api/webhooks/stripe', '400'],
      ['POST', '/api/webhooks/github', '401'],
      ['POST', '/api/runner/claim', '401'],
    ] as const)
      expect(`${path} ${await asNobody(method, url + path)}`).toBe(`${path} ${status}`);
  });

  it('can do nothing at the sandbox’s address, neither at its clouds nor at its controls', async () => {
    const { stripeApiUrl, hcloudEndpoint, tailscaleBaseUrl, githubApiUrl } = installation.connection;
    for (const [method, url, status] of [
      ['GET', `${hcloudEndpoint}/servers`, '401'],
      ['POST', `${hcloudEndpoint}/servers`, '401'],
      ['GET', `${tailscaleBaseUrl}/api/v2/tailnet/-/devices`, '401'],
      ['POST', `${tailscaleBaseUrl}/api/v2/tailnet/-/keys`, '401'],
      ['POST', `${tailscaleBaseUrl}/api/v2/oauth/token`, '401'],
      ['GET', `${stripeApiUrl}/v1/customers`, '401'],
      [
        'POST',
        `${githubApiUrl}/repos/sandbox/agent-stacks/actions/workflows/provision-agent.yml/dispatches`,
        '401',
      ],
      ['POST', `${stripeApiUrl}/checkout`, '403'],
      ['GET', `${stripeApiUrl}/sandbox/faults`, '403'],
      ['POST', `${stripeApiUrl}/sandbox/faults`, '403'],
      ['GET', `${stripeApiUrl}/sandbox/stripe/deliveries`, '403'],
    ] as const)
      expect(`${method} ${url} ${await asNobody(method, url)}`).toBe(`${method} ${url} ${status}`);
  });

  it('cannot open the databases', async () => {
    for (const user of ['postgres', 'runner', new URL(installation.connection.databaseUrl).username])
      for (const database of ['agents', 'pulumi', 'sandbox', 'postgres']) {
        const url = new URL(installation.connection.databaseUrl);
        Object.assign(url, { username: user, password: 'guessed', pathname: `/${database}` });
        expect(await nobody.try({ kind: 'postgres', url: url.href })).toBe('refused 28P01');
      }
  }, 60_000);
});

const asNobody = (method: string, url: string) =>
  nobody.try({ kind: 'http', url, method, headers: { 'content-type': 'application/json' } });

function invocation(token: string, args: Record<string, unknown>): string {
  const request = new resourceProto.ResourceInvokeRequest();
  request.setTok(token);
  request.setArgs(toStruct(args));
  return Buffer.from(request.serializeBinary()).toString('base64');
}
