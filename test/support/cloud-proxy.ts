import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Stands between an installation and the clouds, and changes what it is told to. */
export interface CloudProxy {
  url: string;
  /** The tokens with which it was called. */
  tokens: Set<string>;
  /** The OAuth clients that asked for a token. */
  clients: Set<string>;
  /** How far the clouds' clock is ahead of this host's, in seconds. */
  skewSeconds: number;
  close(): void;
}

/**
 * Starts a proxy in front of a sandbox. Calls with the token of `other` go to another sandbox, as a token of
 * another project leads to other servers at the same address.
 */
export async function startCloudProxy(
  sandboxUrl: string,
  other?: { token: string; url: string },
): Promise<CloudProxy> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { host: _host, connection: _connection, ...headers } = request.headers;
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
    proxy.tokens.add(token);
    const client = clientIn(request.headers.authorization, Buffer.concat(chunks).toString());
    if (request.url?.endsWith('/oauth/token') && client !== undefined) proxy.clients.add(client);
    const target = token === other?.token ? other.url : sandboxUrl;
    const answer = await fetch(`${target}${request.url}`, {
      method: request.method ?? 'GET',
      headers: headers as Record<string, string>,
      body: chunks.length === 0 ? null : Buffer.concat(chunks),
      redirect: 'manual',
    });
    const passed = Object.fromEntries(answer.headers);
    for (const name of [
      'content-encoding',
      'transfer-encoding',
      'connection',
      'keep-alive',
      'content-length',
    ])
      delete passed[name];
    const date = new Date(Date.now() + proxy.skewSeconds * 1000).toUTCString();
    response.writeHead(answer.status, { ...passed, date });
    response.end(Buffer.from(await answer.arrayBuffer()));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: CloudProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tokens: new Set(),
    clients: new Set(),
    skewSeconds: 0,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return proxy;
}

/** The id of an OAuth client, which is in the header or in the form. */
function clientIn(authorization: string | undefined, form: string): string | undefined {
  const [, basic] = /^Basic (\S+)$/.exec(authorization ?? '') ?? [];
  if (basic !== undefined) return Buffer.from(basic, 'base64').toString().split(':')[0];
  return new URLSearchParams(form).get('client_id') ?? undefined;
}
