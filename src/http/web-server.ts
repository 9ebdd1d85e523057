import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toProblem } from './problem.ts';

/** The service's port. It is taken first, so that a port in use is reported before anything is created. */
export interface WebServer {
  port: number;
  /** Until then every request is answered 503 with Retry-After: the service is starting. */
  serve(app: RequestListener): void;
  close(): Promise<void>;
}

const OTHER_PORT_HINT = 'Choose another: PORT=8081 npm start';
const JOINS_HINT =
  'another program, most likely the process that runs this installation already; a further worker needs no port (--role worker)';

/**
 * Listens.
 * @param hasHost whether another process hosts this installation, which most likely has the port.
 * @throws Error that says what to do where the port is in use.
 */
export async function openWebServer(
  { host, port }: { host: string; port: number },
  hasHost: boolean,
): Promise<WebServer> {
  let handle: RequestListener = answerStarting;
  const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => handle(request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new Error(
              `Port ${port} is in use by ${hasHost ? JOINS_HINT : 'another program'}. ${OTHER_PORT_HINT}`,
            )
          : error,
      ),
    );
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    serve: (app) => {
      handle = app;
    },
    close: () => closeServer(server),
  };
}

const STARTING = JSON.stringify(
  toProblem({ status: 503, detail: 'The service is starting; try again in a moment' }),
);

const answerStarting: RequestListener = (_request, response) => {
  // The body of the request is not read, so the connection can serve no other.
  response
    .writeHead(503, { 'content-type': 'application/problem+json', 'retry-after': '5', connection: 'close' })
    .end(STARTING);
};

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), 1_000).unref();
  });
}
