import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { runDoctor } from '../../src/cli/doctor/doctor.ts';
import { reportLines } from '../../src/cli/doctor/report.ts';
import { type DoctorFixture, openDoctor } from '../support/doctor-fixture.ts';
import { installedPath, pluginNames, sdkVersion } from '../support/official-plugins.ts';
import { CLOUD_FAULTS } from '../support/planted-cloud-faults.ts';
import { HOST_FAULTS } from '../support/planted-host-faults.ts';
import { startPluginServer } from '../support/plugin-server.ts';

const FAULTS = [...CLOUD_FAULTS, ...HOST_FAULTS];

let at: DoctorFixture;
beforeAll(async () => {
  at = await openDoctor();
});
afterAll(() => at?.close());

test('a rehearsal in which everything is right passes every check', async () => {
  const report = await runDoctor(at.environment, { installs: false });
  expect(report.checks.filter(({ ok }) => !ok)).toEqual([]);
  expect(report).toMatchObject({ ok: true, mode: 'rehearsal', notChecked: [] });
  expect(report.checks.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      'tools',
      'webhook',
      'public-address',
      'tailnet-policy',
      'tailnet-tags',
      'prices',
    ]),
  );
  expect(reportLines(report)).toMatch(/^ {2}ok {2}[\s\S]*All \d+ checks pass/);
  // It leaves nothing behind.
  expect(await at.service.database.selectFrom('stripe_events').select('id').execute()).toEqual([]);
});

describe('names the planted fault, and nothing else', () => {
  test.for(FAULTS)('$fault', async ({ check, says, plant, unless }, { skip }) => {
    const reason = unless?.();
    skip(reason !== undefined, reason);
    const found = await at.diagnose(await plant(at));
    expect(found).toEqual({ [check]: expect.stringMatching(says) });
  });

  test('there are the twenty of the issue', () => {
    expect(FAULTS.length).toBeGreaterThanOrEqual(20);
  });
});

test('checks each Hetzner project by its name, and finds two tokens of one', async () => {
  const issue = async (project: string, permission = 'write') =>
    (await at.issue({ vendor: 'hetzner', permission, project })).token!;
  const us = await issue('us');
  await fetch(`${at.sandbox.url}/hetzner/v1/firewalls`, {
    method: 'POST',
    headers: { authorization: `Bearer ${us}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'something' }),
  });
  const found = await at.diagnose({
    HCLOUD_PROJECTS: 'default=eu, us=us, us-2=us, sg=sg, reads=eu',
    HCLOUD_TOKEN_US: us,
    HCLOUD_TOKEN_US_2: await issue('us'),
    HCLOUD_TOKEN_SG: 'x'.repeat(64),
    HCLOUD_TOKEN_READS: await issue('reads', 'read'),
  });
  expect(found).toEqual({
    'hetzner:sg': expect.stringContaining('unauthorized'),
    'hetzner-access:reads': 'HCLOUD_TOKEN_READS may only read: it can make no server',
    'hetzner-projects': expect.stringContaining('HCLOUD_TOKEN_US and HCLOUD_TOKEN_US_2 are tokens of one'),
  });
});

describe('installs the official plugins that are missing', () => {
  test.beforeEach(({ skip }) => skip(!process.env.AGENT_STACKS_PULUMI, 'the Pulumi CLI is not set up'));

  /** A Pulumi home without plugins, and a server that has these. */
  async function setup(...plugins: Parameters<typeof startPluginServer>[1]) {
    const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-plugins-'));
    const server = await startPluginServer(folder, plugins);
    onTestFinished(() => {
      server.close();
      rmSync(folder, { recursive: true });
    });
    const environment = {
      ...at.environment,
      PROVIDERS: 'official',
      PULUMI_HOME: join(folder, 'home'),
      PULUMI_PLUGIN_DOWNLOAD_URL_OVERRIDES: `.*=${server.url}`,
    };
    const find = async (installs: boolean) => {
      const { checks } = await runDoctor(environment, { installs });
      return checks.filter(({ name, ok }) => name === 'plugins' && !ok).map(({ detail }) => detail);
    };
    return { server, environment, find };
  }

  test('from where the operator says, in the versions of the stacks, once', async () => {
    const { server, environment, find } = await setup('hcloud', 'tailscale', 'command');
    expect(await find(false)).toHaveLength(1);
    expect(server.asked).toEqual([]);
    expect(await find(true)).toEqual([]);
    const downloads = server.asked.map((name) => /resource-(\w+-v[\d.]+)-/.exec(name)?.[1]);
    expect(downloads).toEqual(pluginNames.map((name) => `${name}-v${sdkVersion(name)}`));
    for (const name of pluginNames)
      expect(existsSync(installedPath(environment.PULUMI_HOME, name))).toBe(true);
    expect(await find(true)).toEqual([]);
    expect(server.asked).toHaveLength(3);
  });

  test('and names the one that cannot be had', async () => {
    const { find, environment } = await setup('hcloud');
    await expect(find(true)).rejects.toThrow(
      /The plugin tailscale \d[\d.]+ could not be installed: pulumi plugin install resource tailscale/,
    );
    expect(existsSync(installedPath(environment.PULUMI_HOME, 'hcloud'))).toBe(true);
  });
});
