import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Express, type Request, type Response } from 'express';
import { errorMessage } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { Secret } from '../../secret.ts';
import { formatFamily } from '../../telemetry/families.ts';
import { readProcessFamilies } from '../../telemetry/process-metrics.ts';
import { createFailedTokens } from '../failed-tokens.ts';
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
  tokens,
  log,
}: {
  host: string;
  port: number;
  /** Each of them reads: the operator's and the viewer's. */
  tokens: readonly Secret[];
  log: Log;
}): MetricsServer {
  const server = createServer(createMetricsApp(tokens, log));
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

function createMetricsApp(tokens: readonly Secret[], log: Log): Express {
  const app = express();
  const expected = tokens.map((token) => digest(token.reveal()));
  const failedTokens = createFailedTokens(log);
  app.disable('x-powered-by');
  // For what restarts a worker that no longer responds.
  app.get('/healthz', (_request, response) => void response.json({ status: 'ok' }));
  app.get('/metrics', async (request, response) => {
    try {
      const [, token = ''] = /^Bearer +(\S+)$/i.exec(request.get('authorization') ?? '') ?? [];
      if (!expected.some((one) => timingSafeEqual(digest(token), one)))
        return refuse(response, await failedTokens.add(request, response));
      const text = (await readProcessFamilies()).map(formatFamily).join('');
      response.set('content-type', METRICS_TYPE).end(text);
    } catch (error) {
      log.warn({ event: 'metrics.failed', error: errorMessage(error) }, 'could not answer with metrics');
      response.destroy();
    }
  });
  app.use((_request: Request, response: Response) => void response.status(404).end());
  return app;
}

/** `waitSeconds`: how long this address is blocked; 0 if it is not. */
function refuse(response: Response, waitSeconds: number): void {
  if (waitSeconds > 0) response.status(429).set('retry-after', String(waitSeconds)).end();
  else response.status(401).set('www-authenticate', 'Bearer').end();
}

const digest = (text: string) => createHash('sha256').update(text).digest();
