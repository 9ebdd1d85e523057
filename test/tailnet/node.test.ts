import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Secret } from '../../src/secret.ts';
import { createHealthCheck } from '../../src/tailnet/agent-health.ts';
import { createLocalApi } from '../../src/tailnet/local-api.ts';
import { findHostNode, proxyCommand } from '../../src/tailnet/node.ts';
import { tailscaledCommand } from '../../src/tailnet/tailscaled.ts';

type Dialled = (socket: Socket, headers: Record<string, unknown>) => void;

/** A socket that answers like tailscaled. */
async function tailscaled(answer: RequestListener, dialled?: Dialled): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'as-local-'));
  const path = join(folder, 's');
  const server = createServer(answer);
  if (dialled !== undefined)
    server.on('upgrade', (request, socket) => dialled(socket as Socket, request.headers));
  await once(server.listen(path), 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
    rmSync(folder, { recursive: true });
  });
  return path;
}

const status =
  (fields: object): RequestListener =>
  (request, response) => {
    expect(request.url).toBe('/localapi/v0/status?peers=false');
    response.end(JSON.stringify(fields));
  };

test('the host’s own tailscaled is used if it is logged in', async () => {
  const whole = await tailscaled(status({ BackendState: 'Running', TUN: true }));
  const node = await findHostNode('/usr/bin/tailscale', ['/nowhere/s', whole]);
  expect(node?.proxyCommand).toBeUndefined();
  expect(await node?.isUp()).toBe(true);

  const userspace = await tailscaled(status({ BackendState: 'Running', TUN: false }));
  expect((await findHostNode('/usr/bin/tailscale', [userspace]))?.proxyCommand).toMatch(
    new RegExp(`^sh .*/reach-agent.sh /usr/bin/tailscale ${userspace} %h %p$`),
  );
  const loggedOut = await tailscaled(status({ BackendState: 'NeedsLogin' }));
  expect(await findHostNode('/usr/bin/tailscale', [loggedOut, '/nowhere/s'])).toBeUndefined();
});

test('our own tailscaled leaves the host alone, and runs in the given location', () => {
  const location = {
    enter: ['nsenter', '--net=/proc/7/ns/net', '--'],
    tailscale: '/t/tailscale',
    tailscaled: '/t/tailscaled',
    loginServer: undefined,
    environment: {},
  };
  expect(tailscaledCommand(location, { socket: '/d/s', stateDir: '/d' })).toEqual([
    'nsenter',
    '--net=/proc/7/ns/net',
    '--',
    '/t/tailscaled',
    '--tun=userspace-networking',
    '--socket=/d/s',
    '--statedir=/d',
    '--port=0',
  ]);
});

test('paths with any characters survive OpenSSH and the shell', () => {
  expect(proxyCommand('/a/tailscale', '/b/s')).toMatch(/reach-agent.sh \/a\/tailscale \/b\/s %h %p$/);
  const odd = proxyCommand("/it's here/tailscale", '/100%/s');
  expect(odd.slice(odd.indexOf("'/it"))).toBe(`'/it'\\''s here/tailscale' /100%%/s %h %p`);
});

test('joining sends the hostname, blocks incoming connections and leaves the host’s DNS alone', async () => {
  const calls: [string, object | undefined][] = [];
  const path = await tailscaled(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    calls.push([`${request.method} ${request.url}`, body === '' ? undefined : JSON.parse(body)]);
    response.writeHead(204).end();
  });
  const authKey = new Secret('tskey-auth-1');
  await createLocalApi(path).join({ authKey, hostname: 'controller-1', loginServer: 'http://c' });
  const UpdatePrefs = {
    ControlURL: 'http://c',
    Hostname: 'controller-1',
    WantRunning: true,
    ShieldsUp: true,
    RouteAll: false,
    CorpDNS: false,
  };
  expect(calls).toEqual([
    ['POST /localapi/v0/start', { AuthKey: 'tskey-auth-1', UpdatePrefs }],
    ['POST /localapi/v0/login-interactive', undefined],
  ]);
});

test('a health check goes through tailscaled only', async () => {
  const asked: string[] = [];
  const path = await tailscaled(
    (_request, response) => response.end(),
    (socket, headers) => {
      expect([headers['dial-host'], headers['dial-port'], headers.upgrade]).toEqual([
        '100.64.0.7',
        '8088',
        'ts-dial',
      ]);
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ts-dial\r\n\r\n');
      socket.on('data', (data) => {
        asked.push(String(data).split('\r\n')[0]!);
        const answer = asked.length === 1 ? '200 OK' : '503 Service Unavailable';
        socket.end(`HTTP/1.1 ${answer}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok`);
      });
    },
  );
  const health = createHealthCheck((ip) => `http://${ip}:8088/health`, createLocalApi(path).dial);
  expect(await health.isHealthy('100.64.0.7')).toBe(true);
  expect(await health.isHealthy('100.64.0.7')).toBe(false);
  expect(asked).toEqual(['GET /health HTTP/1.1', 'GET /health HTTP/1.1']);
});

test('an address outside the tailnet is not dialled another way', async () => {
  const path = await tailscaled((_request, response) =>
    response.writeHead(200, { 'dial-self': 'true', 'dial-addr': '127.0.0.1:1' }).end(),
  );
  await expect(createLocalApi(path).dial('100.64.0.9', 22, AbortSignal.timeout(1000))).rejects.toThrow(
    '100.64.0.9 port 22 over the tailnet: no device has this address',
  );
  const failing = await tailscaled((_request, response) =>
    response.writeHead(502).end('dial failure: connection refused\n'),
  );
  await expect(createLocalApi(failing).dial('100.64.0.9', 22, AbortSignal.timeout(1000))).rejects.toThrow(
    'connection refused',
  );
});
