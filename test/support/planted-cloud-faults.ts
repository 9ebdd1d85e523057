import { expect, onTestFinished } from 'vitest';
import { requestJson } from '../../src/http-client/request.ts';
import '../../src/runbooks/all.ts';
import { claimNext } from '../../src/operations/claims.ts';
import { requestAgent } from '../../src/operations/first-provision.ts';
import { settleFailure } from '../../src/operations/settle.ts';
import { Secret } from '../../src/secret.ts';
import {
  createWebhookEndpoint,
  deleteWebhookEndpoint,
  markWebhookEndpoint,
} from '../../src/stripe/webhook-endpoints.ts';
import { type DoctorFixture, OTHER_TOKEN } from './doctor-fixture.ts';
import type { Planted } from './planted-host-faults.ts';

/** Makes calls of an area fail until the test ends. */
async function orderFault(at: DoctorFixture, order: object): Promise<void> {
  const faults = `${at.sandbox.url}/sandbox/faults`;
  const headers = { 'content-type': 'application/json' };
  await fetch(faults, { method: 'POST', headers, body: JSON.stringify({ times: 1_000_000, ...order }) });
  onTestFinished(async () => void (await fetch(faults, { method: 'DELETE' })));
}

/** Has an order refused by a project that may have no more servers, and settles it as a worker does. */
async function reachLimit(at: DoctorFixture): Promise<void> {
  const { database, queue } = at.service.deps;
  await orderFault(at, { area: 'hetzner', method: 'POST', path: '/servers', effect: { kind: 'limit' } });
  const agent = {
    agentId: 'one-too-many',
    userId: 'u',
    region: 'eu-central',
    location: 'nbg1',
    plan: 'starter',
  };
  await database.transaction().execute((trx) => requestAgent(trx, queue, { agent, actor: 'test' }));
  const row = (await claimNext(database, 'w1'))!;
  const error = await requestJson({
    method: 'POST',
    url: `${at.environment.HCLOUD_ENDPOINT}/servers`,
    headers: { authorization: `Bearer ${at.environment.HCLOUD_TOKEN}` },
  }).catch((refused: unknown) => refused);
  const claim = { operationId: row.operation_id, attempt: row.attempt, workerId: 'w1' };
  await settleFailure({ database, queue }, claim, { error, step: 'creating_server' });
  // What it leaves would be found by every later test.
  const forget = database.updateTable('operations').set({ failure_code: null });
  onTestFinished(async () => void (await forget.execute()));
}

const toClient = ({ clientId, clientSecret }: Record<string, string>) => ({
  TAILSCALE_OAUTH_CLIENT_ID: clientId!,
  TAILSCALE_OAUTH_CLIENT_SECRET: clientSecret!,
});

/** What can be wrong at Hetzner, Tailscale and Stripe. */
export const CLOUD_FAULTS: readonly Planted[] = [
  {
    fault: 'wrong token',
    check: 'hetzner',
    says: /401 the given token is not valid/,
    plant: async () => ({ HCLOUD_TOKEN: 'x'.repeat(64) }),
  },
  {
    fault: 'read-only token',
    check: 'hetzner-access',
    says: /may only read/,
    plant: async (at) => ({
      HCLOUD_TOKEN: (await at.issue({ vendor: 'hetzner', permission: 'read' })).token!,
    }),
  },
  {
    fault: 'another project’s token',
    check: 'hetzner',
    says: /another Hetzner project/,
    plant: async (at) => {
      const { firewall } = (await at.hetzner('POST', '/firewalls', {
        name: 'agents-default',
      })) as unknown as {
        firewall: { id: number };
      };
      const row = { project: 'default', firewall_id: String(firewall.id), inputs_hash: 'x' };
      await at.service.database.insertInto('foundations').values(row).execute();
      expect(await at.diagnose()).toEqual({});
      return { HCLOUD_TOKEN: OTHER_TOKEN };
    },
  },
  {
    fault: 'missing scope',
    check: 'tailscale',
    says: /lacks the scope devices:core/,
    plant: async (at) =>
      toClient(await at.issue({ vendor: 'tailscale', scopes: ['auth_keys'], tags: ['tag:controller'] })),
  },
  {
    fault: 'scope that only reads',
    check: 'tailscale-scopes',
    says: /lacks the scope auth_keys/,
    plant: async (at) =>
      toClient(
        await at.issue({
          vendor: 'tailscale',
          scopes: ['auth_keys:read', 'devices:core', 'policy_file:read'],
        }),
      ),
  },
  {
    fault: 'tag not owned',
    check: 'tailnet-tags',
    says: /may not use tag:agent and tag:controller/,
    plant: async (at) =>
      toClient(
        await at.issue({
          vendor: 'tailscale',
          scopes: ['auth_keys', 'devices:core', 'policy_file:read'],
          tags: ['tag:other'],
        }),
      ),
  },
  {
    fault: 'webhook secret of another endpoint',
    check: 'webhook',
    says: /belongs to another endpoint/,
    plant: async (at) => {
      const STRIPE_WEBHOOK_SECRET = 'whsec_of_another_endpoint_entirely';
      at.secrets.push(new Secret(STRIPE_WEBHOOK_SECRET));
      onTestFinished(() => void at.secrets.pop());
      return { STRIPE_WEBHOOK_SECRET };
    },
  },
  {
    fault: 'endpoint lacking an event',
    check: 'webhook',
    says: /lacks the event invoice\.paid$/,
    plant: async (at) => {
      const { webhookEndpoints } = at.sandbox.stripe;
      const { enabled_events } = await webhookEndpoints.retrieve(at.endpoint);
      const change = (events: string[]) =>
        webhookEndpoints.update(at.endpoint, { enabled_events: events as never });
      await change(enabled_events.filter((type) => type !== 'invoice.paid'));
      onTestFinished(async () => void (await change(enabled_events)));
      return {};
    },
  },
  {
    fault: 'PUBLIC_URL unreachable',
    check: 'public-address',
    says: /cannot be reached: .*no answer/,
    plant: async (at) => {
      const PUBLIC_URL = 'http://127.0.0.1:1';
      const made = await createWebhookEndpoint(at.account, `${PUBLIC_URL}/api/webhooks/stripe`);
      onTestFinished(() => deleteWebhookEndpoint(at.account, made.id));
      await markWebhookEndpoint(at.account, made.id, new Secret(made.secret));
      return { PUBLIC_URL, STRIPE_WEBHOOK_SECRET: made.secret };
    },
  },
  {
    fault: 'no quota',
    check: 'quota',
    says: /quota of the Hetzner project is used up/,
    plant: async (at) => {
      await orderFault(at, { area: 'hetzner', effect: { kind: 'status', status: 429 } });
      return {};
    },
  },
  {
    fault: 'limit of servers reached',
    check: 'server-limit',
    says: /agent one-too-many: the project has reached its limit/,
    plant: async (at) => {
      await reachLimit(at);
      return {};
    },
  },
];
