import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PermanentError, RateLimitedError, RetryableError } from '../../../src/errors.ts';
import { ONLY_PROJECT, runProbe } from '../../../src/reconcile/checks/probe.ts';
import {
  hetznerProbe,
  pluginsProbe,
  stripeProbe,
  tailnetProbe,
  tailscaleProbe,
} from '../../../src/reconcile/checks/probes.ts';
import { Secret } from '../../../src/secret.ts';
import { UnknownTailnetError } from '../../../src/tailscale/tailscale.ts';
import { type OperationsFixture, openOperations } from '../../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(() => at.empty());

const throwing = (error: Error) => async () => {
  throw error;
};

describe('hetzner', () => {
  const probe = (findFirewall: () => Promise<{ id: number } | undefined>) =>
    hetznerProbe(
      { database: at.database, hetzner: { findFirewall, listServers: async () => [] } as never },
      ONLY_PROJECT,
    );

  test('an accepted token passes', async () => {
    expect(await runProbe(probe(async () => undefined))).toMatchObject({ ok: true, cure: null });
  });

  test('a refused token is reported with its fix', async () => {
    const refused = new PermanentError('GET /v1/firewalls: 401 unable to authenticate (unauthorized)');
    expect(await runProbe(probe(throwing(refused)))).toEqual({
      name: 'hetzner',
      ok: false,
      detail: refused.message,
      cure: expect.stringContaining('Set HCLOUD_TOKEN'),
    });
  });

  test('a spent quota is not a configuration error: operations do not wait for it', async () => {
    const limited = new RateLimitedError('GET /v1/firewalls: 429 (rate_limit_exceeded)');
    expect(await runProbe(probe(throwing(limited)))).toMatchObject({ ok: true, cure: null });
  });

  test('a token of another project is reported as such', async () => {
    await at.database
      .insertInto('foundations')
      .values({ project: 'default', firewall_id: '7', inputs_hash: 'x' })
      .execute();
    expect(await runProbe(probe(async () => ({ id: 8 })))).toMatchObject({
      ok: false,
      detail: expect.stringContaining('another Hetzner project'),
      cure: expect.stringContaining('own project'),
    });
    expect(await runProbe(probe(async () => ({ id: 7 })))).toMatchObject({ ok: true });
  });

  test('a missing answer is not the token’s fault', async () => {
    const { detail, cure } = await runProbe(probe(throwing(new RetryableError('no answer (ECONNREFUSED)'))));
    expect(detail).toContain('no answer');
    expect(cure).not.toContain('HCLOUD_TOKEN');
  });
});

describe('tailscale', () => {
  const well = { listKeys: async () => [], hasDevice: async () => false };

  test.each([
    ['a refused credential', { listKeys: throwing(new PermanentError('401')) }, 'TAILSCALE_OAUTH'],
    [
      'a credential without access to devices',
      { hasDevice: throwing(new PermanentError('403')) },
      'devices:core',
    ],
    ['a missing tailnet', { listKeys: throwing(new UnknownTailnetError('not found')) }, 'TAILSCALE_TAILNET'],
  ])('%s', async (_name, broken, cure) => {
    const check = await runProbe(tailscaleProbe({ ...well, ...broken }));
    expect(check).toMatchObject({ name: 'tailscale', ok: false, cure: expect.stringContaining(cure) });
  });

  test('an accepted credential passes', async () => {
    expect(await runProbe(tailscaleProbe(well))).toMatchObject({ ok: true });
  });
});

describe('a node on the tailnet', () => {
  test('a node that is up passes; one that is down, and a missing one, are reported with their fixes', async () => {
    expect(await runProbe(tailnetProbe({ isUp: async () => true }))).toMatchObject({ ok: true });
    expect(await runProbe(tailnetProbe({ isUp: async () => false }))).toMatchObject({
      ok: false,
      cure: expect.stringContaining('tailscale up'),
    });
    expect(await runProbe(tailnetProbe(undefined))).toMatchObject({
      name: 'tailnet',
      ok: false,
      detail: expect.stringContaining('cannot reach the tailnet'),
      cure: expect.stringContaining('Install tailscale'),
    });
  });

  test('operations that need no connection to a machine do not wait for the node', () => {
    const { blocks } = tailnetProbe(undefined);
    expect((['provision', 'rebuild', 'start', 'destroy', 'rollback', 'stop'] as const).map(blocks)).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});

test('missing plugins are all named, with the commands that install them', async () => {
  const nowhere = { pulumiHome: '/nowhere', home: undefined, path: '', cli: undefined };
  const check = await runProbe(pluginsProbe(nowhere));
  expect(check.detail).toContain(
    'hcloud 1.41.0, tailscale 0.29.1, command 1.2.1 (looked in /nowhere/plugins',
  );
  expect(check.cure).toContain('pulumi plugin install resource tailscale 0.29.1');
});

describe('stripe', () => {
  let stripe: Server;
  let status = 200;
  beforeAll(async () => {
    stripe = createServer((_request, response) => {
      response.writeHead(status).end(JSON.stringify({ id: 'acct_1', error: { message: 'Invalid API Key' } }));
    });
    await new Promise<void>((resolve) => stripe.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => void stripe.close());

  test.each([
    [200, true, 'acct_1'],
    [403, true, 'the key is accepted'],
    [401, false, 'Invalid API Key'],
  ])('%i: %s', async (answered, ok, detail) => {
    status = answered;
    const { port } = stripe.address() as AddressInfo;
    const probe = stripeProbe({ secretKey: new Secret('rk_live_x'), apiUrl: `http://127.0.0.1:${port}` });
    expect(await runProbe(probe)).toMatchObject({ ok, detail: expect.stringContaining(detail) });
    expect(probe.blocks('provision')).toBe(false);
  });
});
