// Exits 0 if this container's web server answers; of a worker, which has none unless METRICS_PORT is set,
// that the check could be started is all there is to know.
import { readFileSync } from 'node:fs';

const isWorker = readFileSync('/proc/1/cmdline', 'utf8').includes('--role\0worker');
const { PORT = '8080', METRICS_PORT } = process.env;
const port = isWorker ? METRICS_PORT : PORT;
if (port) {
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(8_000) });
  process.exitCode = answer.ok ? 0 : 1;
}
