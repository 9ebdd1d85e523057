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

/** What to set instead of a port in use. */
const OTHER = { PORT: 8081, OPERATOR_PORT: 8082 };
const JOINS_HINT =
  'another program, most likely the process that runs this installation already; a further worker needs no port (--role worker)';

/**
 * Listens. `variable`: which one the port comes from.
 * @param hasHost whether another process hosts this installation, which most likely has the port.
 * @throws Error that says what to do where the port is in use.
 */
export async function openWebServer(
  { host, port, variable = 'PORT' }: { host: string; port: number; variable?: 'PORT' | 'OPERATOR_PORT' },
  hasHost: boolean,
): Promise<WebServer> {
  let handle: RequestListener = answerStarting;
  const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => handle(request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new Error(
              `Port ${port} is in use by ${hasHost ? JOINS_HINT : 'another program'}. Choose another: ${variable}=${OTHER[variable]} npm start`,
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
