import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { createEnvironment, runToEnd } from '../support/commands.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Says at the end on standard error which modules the process has loaded. */
const SPY = `
  import { registerHooks } from 'node:module';
  const urls = [];
  registerHooks({ load: (url, context, next) => { urls.push(url); return next(url, context); } });
  process.on('exit', () => process.stderr.write(JSON.stringify(urls)));`;

/** The address of a service that has no agents. */
async function startEmptyService(): Promise<string> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json').end('{"items":[],"nextCursor":null}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a command loads what a client needs, and nothing of the service that answers it', async () => {
  const env = createEnvironment({
    PUBLIC_URL: await startEmptyService(),
    API_TOKEN: 'x'.repeat(32),
    NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(SPY)}`,
  });
  const { code, stdout, stderr } = await runToEnd(process.execPath, ['src/cli/agents.ts', 'list'], {
    cwd: root,
    env,
  });
  expect(code, stderr).toBe(0);
  expect(stdout).toContain('AGENT');
  const urls = JSON.parse(stderr.trim().split('\n').at(-1)!) as string[];
  const packages = urls.flatMap((url) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []);
  // Not among them: Kysely, pg, Express, pino, and what else only the service uses.
  expect([...new Set(packages)].sort()).toEqual([
    '@optique/core',
    'eventsource-parser',
    'openapi-fetch',
    'zod',
  ]);
  expect(urls.filter((url) => url.includes('/src/runbooks/'))).toEqual([]);
});
