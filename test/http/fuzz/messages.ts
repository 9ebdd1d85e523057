import fc from 'fast-check';
import type { FuzzFixture } from './fixture.ts';

/** Valid messages of every kind; `n` numbers their agent and job. */
export type Message = (fixture: FuzzFixture, n: number) => unknown;

export const getAgentId = ({ agents }: FuzzFixture, n: number): string =>
  agents[n % agents.length] ?? 'nobody';
export const getJobId = ({ jobs }: FuzzFixture, n: number): string =>
  jobs[n % jobs.length] ?? '00000000-0000-4000-8000-000000000000';

const session = (type: string, more: object = {}): Message => {
  return (_, n) => ({
    id: `evt_${n % 5_000}`,
    object: 'event',
    type,
    created: 1_790_000_000 + n,
    livemode: false,
    account: null,
    data: {
      object: {
        id: `cs_${n % 3_000}`,
        object: 'checkout.session',
        mode: 'subscription',
        payment_status: 'paid',
        subscription: `sub_${n}`,
        customer: { id: `cus_${n}` },
        metadata: { agentId: `f${n % 400}`, userId: `u${n}`, region: 'eu-central', plan: 'pro' },
        ...more,
      },
    },
  });
};

export const STRIPE: readonly Message[] = [
  session('checkout.session.completed'),
  session('checkout.session.completed', { mode: 'setup', payment_status: 'no_payment_required' }),
  session('checkout.session.async_payment_succeeded'),
  session('customer.subscription.updated'),
  (_, n) => ({
    id: `evt_thin_${n}`,
    object: 'v2.core.event',
    type: 'v1.billing.meter.error_report_triggered',
    created: '2026-09-17T06:20:52.246Z',
    livemode: false,
    context: 'acct_1',
    reason: { type: 'request', request: { id: 'req_1' } },
    related_object: { id: 'meter_1', type: 'billing.meter', url: '/v1/billing/meters/meter_1' },
  }),
];

const toTailnetIp = (n: number) => `100.64.${n >> 8}.${n & 255}`;

const outputs = (fixture: FuzzFixture, n: number) => ({
  serverId: String(n + 1),
  serverName: `agent-${getAgentId(fixture, n)}`,
  ipv4: '192.0.2.7',
  ipv6: '2001:db8::7',
  tailnetIp: toTailnetIp(n),
  tailnetName: `agent-${getAgentId(fixture, n)}.tail.example`,
});

/** Their agent is that of the job's row. */
export const CALLBACKS: readonly Message[] = [
  (fixture, n) => ({ job_id: getJobId(fixture, n), type: 'heartbeat', workflow_run_id: String(n % 3) }),
  (fixture, n) => ({
    job_id: getJobId(fixture, n),
    status: 'provisioning',
    step: 'configuring',
    workflow_run_id: '1',
  }),
  (fixture, n) => ({
    job_id: getJobId(fixture, n),
    status: 'running',
    server_id: String(n + 1),
    server_ip: '192.0.2.7',
    tailscale_ip: toTailnetIp(n),
  }),
  (fixture, n) => ({
    job_id: getJobId(fixture, n),
    status: 'failed',
    error: 'It broke',
    failed_step: 'verifying',
  }),
];

export const CLAIMS: readonly Message[] = [
  (fixture, n) => ({ job_id: getJobId(fixture, n), workflow_run_id: '1' }),
];

const RECORDS: readonly Message[] = [
  () => ({ kind: 'alive' }),
  () => ({ kind: 'log', lines: ['one', 'two'] }),
  () => ({
    kind: 'resources',
    found: {
      verb: 'refresh',
      resources: [
        { name: 'n', type: 't', id: '1', isGone: false, drift: [{ property: 'p', before: 'a', now: null }] },
      ],
    },
  }),
  (fixture, n) => ({ kind: 'inputs', inputs: inputs(fixture, n), sealedKeys: 'AAAA' }),
  (fixture, n) => ({
    kind: 'result',
    result: { status: 'succeeded', effect: { kind: 'running', outputs: outputs(fixture, n) } },
  }),
  (fixture, n) => ({
    kind: 'result',
    result: {
      status: 'succeeded',
      effect: { kind: 'refreshed', outputs: outputs(fixture, n), health: 'healthy' },
    },
  }),
  () => ({ kind: 'result', result: { status: 'succeeded', effect: { kind: 'unhealthy', error: 'silent' } } }),
  () => ({
    kind: 'result',
    result: { status: 'failed', name: 'PermanentError', message: 'no', step: 'verifying' },
  }),
  () => ({ kind: 'foundation-find', inputs: { project: 'default' } }),
  () => ({ kind: 'foundation-take', inputs: { project: 'default' }, stale: 7 }),
  () => ({ kind: 'foundation-made', inputs: { project: 'default' }, firewallId: 7 }),
];

function inputs(fixture: FuzzFixture, n: number) {
  return {
    agentId: getAgentId(fixture, n),
    operationId: getJobId(fixture, n),
    project: 'default',
    location: 'nbg1',
    serverType: 'cx23',
    image: 'debian-12',
    keepDisk: true,
    firewallId: 7,
    sshPublicKey: 'ssh-ed25519 AAAA',
    hostPublicKey: 'ssh-ed25519 BBBB',
    keyGeneration: 1 + (n % 3),
    healthPort: 8080,
    configurationVersion: 'v1',
    configuredBy: 'x',
    joinTimeoutSeconds: 180,
    pollInterval: '2s',
    loginServer: 'https://login.example.com',
  };
}

export const RECORD_MESSAGES: readonly Message[] = RECORDS.map(
  (record): Message =>
    (fixture, n) => ({ job_id: getJobId(fixture, n), workflow_run_id: '1', record: record(fixture, n) }),
);

/** Bodies of the operator's routes, by path; other routes take none. */
export const BODIES: Record<string, readonly Message[]> = {
  '/api/agents': [
    (_, n) => ({ agentId: `f${n % 400}`, userId: `u${n}`, region: 'eu-central', plan: 'starter' }),
    (_, n) => ({ userId: `u${n}`, region: 'ash' }),
  ],
  '/api/proposals': [
    (fixture, n) => ({
      agentId: getAgentId(fixture, n),
      kind: ['stop', 'rebuild', 'hibernate', 'destroy'][n % 4],
      reason: 'why',
    }),
  ],
  '/api/agents/:agentId/resize': [(_, n) => ({ plan: ['starter', 'pro', 'max'][n % 3] })],
};

export const NOTHING: readonly Message[] = [() => ({})];

export const number: fc.Arbitrary<number> = fc.nat(9_999);
