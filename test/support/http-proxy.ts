import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';

export interface RecordingProxy {
  url: string;
  /** Its requests: `CONNECT host:port`, `GET http://…`. */
  seen: string[];
  close(): void;
}

/**
 * Starts a real proxy on loopback. It forwards requests to this host and refuses all others, as if it had no
 * internet access.
 */
export async function startProxy(): Promise<RecordingProxy> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    response.writeHead(502).end();
  });
  server.on('connect', (request, socket) => {
    seen.push(`CONNECT ${request.url}`);
    socket.on('error', () => {});
    const { hostname, port } = new URL(`http://${request.url}`);
    if (!['127.0.0.1', 'localhost', '[::1]'].includes(hostname))
      return socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
    const target = connect(Number(port), hostname, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      target.pipe(socket).pipe(target);
    });
    target.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, close };
}
