import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errorMessage } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { Secret } from '../../secret.ts';
import { formatFamily } from '../../telemetry/families.ts';
import { readProcessFamilies } from '../../telemetry/process-metrics.ts';
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
  apiToken,
  log,
}: {
  host: string;
  port: number;
  apiToken: Secret;
  log: Log;
}): MetricsServer {
  const expected = digest(apiToken.reveal());
  const server = createServer((request, response) => {
    answer(request, response, expected).catch((error: unknown) => {
      log.warn({ event: 'metrics.failed', error: errorMessage(error) }, 'could not answer with metrics');
      response.destroy();
    });
  });
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

async function answer(request: IncomingMessage, response: ServerResponse, expected: Buffer): Promise<void> {
  const [, token = ''] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
  if (request.url !== '/metrics' || request.method !== 'GET') response.writeHead(404).end();
  else if (!timingSafeEqual(digest(token), expected))
    response.writeHead(401, { 'www-authenticate': 'Bearer' }).end();
  else {
    const text = (await readProcessFamilies()).map(formatFamily).join('');
    response.writeHead(200, { 'content-type': METRICS_TYPE }).end(text);
  }
}

const digest = (text: string) => createHash('sha256').update(text).digest();
