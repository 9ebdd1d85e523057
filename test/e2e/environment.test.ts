import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type RecordingProxy, startProxy } from '../support/http-proxy.ts';
import { type Installation, makeSite, type Site, startInstallation } from '../support/installation.ts';

let proxy: RecordingProxy;
let site: Site;
let installation: Installation;

beforeAll(async () => {
  proxy = await startProxy();
  site = await makeSite({
    SANDBOX_DEMO_ORDER: 'on',
    http_proxy: proxy.url,
    https_proxy: proxy.url,
    HTTP_PROXY: proxy.url,
    HTTPS_PROXY: proxy.url,
    grpc_proxy: proxy.url,
    no_proxy: ' internal.example , 10.0.0.1 ',
    NODE_USE_ENV_PROXY: '1',
    PGSSLMODE: 'require',
    PGOPTIONS: '-c search_path=elsewhere',
    PGHOST: 'elsewhere.invalid',
    PGUSER: 'somebody',
  });
  installation = await startInstallation(site);
}, 180_000);

afterAll(async () => {
  await installation?.stop();
  await site?.remove();
  proxy?.close();
}, 90_000);

it('behind a proxy and with Postgres settings in the environment, an agent is provisioned and inspected', async () => {
  await eventually(
    'the demo order is placed',
    () => /demo order.*: agent \S+/.test(installation.terminal()),
    { withinSeconds: 30, describe: installation.terminal },
  );
  const agentId = /demo order.*: agent (\S+)/.exec(installation.terminal())?.[1] ?? '';
  await installation.untilAgent(agentId, 'running');
  expect(installation.terminal()).toContain('PGHOST, PGOPTIONS, PGSSLMODE, PGUSER: ignored');
  // The commands too: the list over HTTP, the Pulumi CLI over gRPC and the state's database.
  expect(await installation.run(['agents', '--', 'list'])).toMatchObject({ code: 0 });
  const preview = await installation.run(['pulumi', '--', 'preview', '-s', `agent-${agentId}`]);
  expect(preview).toMatchObject({ code: 0 });
  // No connection between our own processes used the proxy, and in sandbox mode there are no others.
  expect(proxy.seen).toEqual([]);
}, 180_000);
