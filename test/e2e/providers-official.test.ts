import { rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectNoChanges } from '../support/clean-stack.ts';
import { eventually } from '../support/eventually.ts';
import { type Installation, makeSite, type Site, startInstallation } from '../support/installation.ts';
import {
  installedPath,
  placePlugin,
  pluginNames,
  pluginStarts,
  sdkVersion,
} from '../support/official-plugins.ts';

const agentId = 'official-1';

let site: Site;
let installation: Installation;
let operationId: string;
const at = (folder: string) => join(site.dataDir, folder);

beforeAll(async () => {
  site = await makeSite({ PROVIDERS: 'official' });
  Object.assign(site.environment, {
    PULUMI_HOME: at('home'),
    PATH: [at('bin'), site.environment.PATH].join(delimiter),
  });
  installation = await startInstallation(site);
}, 180_000);

afterAll(async () => {
  await installation?.stop();
  await site?.remove();
}, 90_000);

it('without a plugin names the missing ones and how to install them, and does not retry', async () => {
  const created = await installation.ask('/api/agents', {
    json: { agentId, userId: 'user-1', region: 'eu-west' },
  });
  operationId = created.body.operationId;
  const { error } = await installation.untilAgent(agentId, 'failed');
  expect(error).toContain('plugin hcloud is not installed');
  for (const name of pluginNames)
    expect(error).toContain(`pulumi plugin install resource ${name} ${sdkVersion(name)}`);
  const { body: operation } = await installation.ask(`/api/operations/${operationId}`);
  expect(operation).toMatchObject({ status: 'failed', attempt: 1, error, failedStep: 'creating_server' });
  await rolledBack();
}, 90_000);

it('starts those on the PATH, and reports clearly if they fail to start', async () => {
  for (const name of pluginNames)
    placePlugin(join(at('bin'), `pulumi-resource-${name}`), name, at('starts-on-path'), 'gives up');
  await retry();
  await eventually('a plugin of PATH was started', () => starts('starts-on-path').length > 0, {
    withinSeconds: 30,
  });
  let operation: { error: string | null } = { error: null };
  await eventually(
    'the try has failed',
    async () => {
      operation = (await installation.ask(`/api/operations/${operationId}`)).body;
      return operation.error !== null && !operation.error.includes('not installed');
    },
    { withinSeconds: 30, describe: () => JSON.stringify(operation) },
  );
  expect(operation.error).toMatch(/hcloud/);
  expect(operation.error).toMatch(/plugin/);
}, 90_000);

it('starts those in PULUMI_HOME, and brings an agent to running with the same stacks and sandbox', async () => {
  for (const name of pluginNames)
    placePlugin(installedPath(at('home'), name), name, at('starts-at-home'), 'serves');
  // The CLI prefers plugins on the PATH.
  await rm(at('bin'), { recursive: true });
  await eventually(
    'the agent runs, by this try or the one that is asked for next',
    async () => {
      const { status } = (await installation.ask(`/api/agents/${agentId}`)).body;
      if (status === 'failed') {
        await rolledBack();
        await retry();
      }
      return status === 'running';
    },
    { withinSeconds: 90, describe: installation.terminal },
  );
  const started = starts('starts-at-home');
  expect(new Set(started.map(({ name }) => name))).toEqual(new Set(pluginNames));
  const { connection } = installation;
  for (const { environment } of started) {
    expect(environment.get('PULUMI_DEBUG_PROVIDERS')).toBeUndefined();
    expect(Object.fromEntries(environment)).toMatchObject({
      HCLOUD_TOKEN: connection.hcloudToken,
      HCLOUD_ENDPOINT: connection.hcloudEndpoint,
      TAILSCALE_API_KEY: connection.tailscaleApiKey,
      TAILSCALE_BASE_URL: connection.tailscaleBaseUrl,
      TAILSCALE_TAILNET: '-',
      PULUMI_HOME: at('home'),
    });
  }
  expect((await expectNoChanges(installation, agentId)).stderr).toBe('');
}, 150_000);

const starts = (folder: string) => pluginStarts(at(folder));

async function retry(): Promise<void> {
  const answer = await installation.ask(`/api/operations/${operationId}/retry`, { method: 'POST' });
  expect(answer.status).toBe(202);
}

/**
 * Waits for the rollback after a provision that failed for good; until then no other operation is allowed.
 */
async function rolledBack(): Promise<void> {
  await eventually(
    'it is rolled back',
    async () => {
      const { body } = await installation.ask(`/api/agents/${agentId}/operations`);
      const rollbacks = body.items.filter(({ kind }: { kind: string }) => kind === 'rollback');
      return (
        rollbacks.length > 0 && rollbacks.every(({ status }: { status: string }) => status === 'succeeded')
      );
    },
    { withinSeconds: 60 },
  );
}
