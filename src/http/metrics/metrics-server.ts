import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Express, type Request, type Response } from 'express';
import { errorMessage } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { formatFamily } from '../../telemetry/families.ts';
import { readProcessFamilies } from '../../telemetry/process-metrics.ts';
import type { Credentials } from '../credentials.ts';
import { whyForbidden } from '../principal.ts';
import { HttpError } from '../problem.ts';
import { METRICS_TYPE } from './metrics.ts';

export interface MetricsServer {
  /** Resolves once it listens; undefined if it cannot. */
  port: Promise<number | undefined>;
  stop(): Promise<void>;
}

/**
 * Serves the metrics of this process, and nothing of the installation's, for workers: they serve no other
 * HTTP. A port that is taken costs the metrics and not the worker.
 */
export function openMetricsServer({
  host,
  port,
  credentials,
  log,
}: {
  host: string;
  port: number;
  /** Who may read the installation's metrics reads these: its tokens, and those of people. */
  credentials: Pick<Credentials, 'find'>;
  log: Log;
}): MetricsServer {
  const server = createServer(createMetricsApp(credentials, log));
  const listening = new Promise<number | undefined>((resolve) => {
    server.once('error', (error) => {
      const text = `METRICS_PORT ${port} cannot be used; this process serves no metrics`;
      log.warn({ event: 'metrics.no_port', error: errorMessage(error) }, text);
      resolve(undefined);
    });
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
  return {
    port: listening,
    stop: async () => {
      await listening;
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** As the installation's own route. */
const READING = { least: 'viewer', changes: false } as const;

function createMetricsApp(credentials: Pick<Credentials, 'find'>, log: Log): Express {
  const app = express();
  app.disable('x-powered-by');
  // For what restarts a worker that no longer responds.
  app.get('/healthz', (_request, response) => void response.json({ status: 'ok' }));
  app.get('/metrics', async (request, response) => {
    try {
      const found = await credentials.find(request, response);
      if (found === undefined)
        throw new HttpError(401, 'A token is required', { 'www-authenticate': 'Bearer' });
      if (whyForbidden(found.principal, READING) !== undefined) throw new HttpError(403, 'It may not read');
      const text = (await readProcessFamilies()).map(formatFamily).join('');
      response.set('content-type', METRICS_TYPE).end(text);
    } catch (error) {
      if (error instanceof HttpError) return void response.status(error.status).set(error.headers).end();
      // A token of the environment counts without the database, a person's does not.
      log.warn({ event: 'metrics.failed', error: errorMessage(error) }, 'could not answer with metrics');
      if (response.headersSent) response.destroy();
      else response.status(503).end();
    }
  });
  app.use((_request: Request, response: Response) => void response.status(404).end());
  return app;
}
