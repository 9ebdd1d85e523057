import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runDoctor } from '../../src/cli/doctor/doctor.ts';
import { reportLines } from '../../src/cli/doctor/report.ts';
import { type DoctorFixture, openDoctor } from '../support/doctor-fixture.ts';
import { CLOUD_FAULTS } from '../support/planted-cloud-faults.ts';
import { HOST_FAULTS } from '../support/planted-host-faults.ts';

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
