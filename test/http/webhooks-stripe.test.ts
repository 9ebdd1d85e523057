import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OLD_WEBHOOK_SECRET, startService, type TestService } from '../support/http-service.ts';
import { toServerId } from '../support/operation-progress.ts';
import { deliver, paidCheckout, sign } from '../support/stripe-events.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

async function counts() {
  const { rows } = await sql<Record<string, number>>`
    select (select count(*) from stripe_events) as events, (select count(*) from orders) as orders,
      (select count(*) from agents) as agents, (select count(*) from operations) as operations,
      (select count(*) from pgboss.job where name = 'operations') as jobs,
      (select count(*) from audit_log) as audits`.execute(service.database);
  return rows[0]!;
}

/** Returns the number of rows that one or several deliveries added. */
async function added(run: () => Promise<unknown>) {
  const before = await counts();
  await run();
  const after = await counts();
  return Object.fromEntries(Object.entries(after).map(([name, count]) => [name, count - before[name]!]));
}

const ONE_OF_EACH = { events: 1, orders: 1, agents: 1, operations: 1, jobs: 1, audits: 1 };
const NOTHING = { events: 0, orders: 0, agents: 0, operations: 0, jobs: 0, audits: 0 };

const eventRow = (id: string) =>
  service.database.selectFrom('stripe_events').selectAll().where('id', '=', id).executeTakeFirst();
const getOrder = (eventId: string) =>
  service.database.selectFrom('orders').selectAll().where('stripe_event_id', '=', eventId).executeTakeFirst();

describe('a paid checkout', () => {
  it('creates event, order, agent, operation and job, and is acknowledged', async () => {
    const event = paidCheckout({ region: 'us-west', plan: 'pro' });
    const { agentId } = event.data.object.metadata as { agentId: string };
    const result = await added(async () => {
      const answer = await deliver(service.url, event);
      expect(answer).toMatchObject({ status: 200, body: { received: true } });
    });
    expect(result).toEqual(ONE_OF_EACH);
    const agent = await (await service.ask(`/api/agents/${agentId}`)).json();
    expect(agent).toMatchObject({
      agentId,
      userId: 'user-1',
      region: 'us-west',
      location: 'hil',
      plan: 'pro',
      status: 'requested',
      step: 'queued',
      subscriptionId: event.data.object.subscription,
    });
    const job = await sql<Record<string, unknown>>`
      select * from provisioning_jobs where agent_id = ${agentId}`.execute(service.database);
    expect(job.rows).toMatchObject([{ stripe_event_id: event.id, status: 'queued', region: 'us-west' }]);
  });

  it('is accepted under either secret during a rotation, and with both signatures', async () => {
    const event = paidCheckout();
    const body = JSON.stringify(event);
    expect(await deliver(service.url, event, { secret: OLD_WEBHOOK_SECRET })).toMatchObject({ status: 200 });
    const both = `${sign(body, { secret: 'whsec_unknown' })},${sign(body).split(',')[1]}`;
    expect(await deliver(service.url, event, { signature: both })).toMatchObject({ status: 200 });
  });

  it('waits for the payment if unpaid, and provisions when it arrives', async () => {
    const unpaid = paidCheckout({}, { session: { payment_status: 'unpaid' } });
    expect(await added(() => deliver(service.url, unpaid))).toEqual({ ...NOTHING, events: 1 });
    const paid = { ...unpaid, id: `${unpaid.id}_paid`, type: 'checkout.session.async_payment_succeeded' };
    expect(await added(() => deliver(service.url, paid))).toEqual(ONE_OF_EACH);
  });

  it('accepts a Hetzner location as a region', async () => {
    const event = paidCheckout({ region: 'hel1' });
    await deliver(service.url, event);
    const order = await getOrder(event.id);
    const agent = await (await service.ask(`/api/agents/${order?.agent_id}`)).json();
    expect(agent).toMatchObject({ region: 'hel1', location: 'hel1' });
  });
});

describe('repeats', () => {
  it('100 concurrent copies create one agent, and each is answered 200', async () => {
    const event = paidCheckout();
    const result = await added(async () => {
      const answers = await Promise.all(Array.from({ length: 100 }, () => deliver(service.url, event)));
      expect(answers.map((answer) => answer.status)).toEqual(Array(100).fill(200));
      expect(answers.every((answer) => JSON.stringify(answer.body) === '{"received":true}')).toBe(true);
    });
    expect(result).toEqual(ONE_OF_EACH);
  });

  it('many events for one session create one agent, even if they arrive at once', async () => {
    const first = paidCheckout();
    const others = Array.from({ length: 20 }, (_, index) => ({ ...first, id: `${first.id}_${index}` }));
    const result = await added(async () => {
      const answers = await Promise.all([first, ...others].map((event) => deliver(service.url, event)));
      expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
    });
    expect(result).toEqual({ ...ONE_OF_EACH, events: 21 });
    const outcomes = await service.database
      .selectFrom('stripe_events')
      .select('outcome')
      .where('object_id', '=', String(first.data.object.id))
      .execute();
    expect(outcomes.filter((row) => row.outcome === 'acted')).toHaveLength(1);
    expect(outcomes.filter((row) => row.outcome === 'duplicate')).toHaveLength(20);
  });

  it('many sessions for the same id at once create one agent; the others need attention', async () => {
    const metadata = { agentId: `contended-${Date.now()}` };
    const events = Array.from({ length: 20 }, () => paidCheckout(metadata));
    const result = await added(async () => {
      const answers = await Promise.all(events.map((event) => deliver(service.url, event)));
      expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
    });
    expect(result).toEqual({ ...ONE_OF_EACH, events: 20, orders: 20 });
  });
});

describe('orders that need a person', () => {
  it.each([
    ['no metadata', null, 'metadata.agentId is missing'],
    ['metadata that is a list', ['agentId'], 'metadata must be an object'],
    ['metadata that is text', 'agentId=1', 'metadata must be an object'],
    ['no agentId', { agentId: undefined }, 'metadata.agentId is missing'],
    ['an agentId of a wrong type', { agentId: 7 }, 'metadata.agentId must be a string'],
    ['an agentId that is an object', { agentId: { $ne: 1 } }, 'metadata.agentId must be a string'],
    ['an agentId with capitals', { agentId: 'Agent-1' }, 'metadata.agentId must be'],
    ['an agentId with a path', { agentId: '../../etc' }, 'metadata.agentId must be'],
    ['an agentId that is too long', { agentId: 'a'.repeat(41) }, 'metadata.agentId must have at most 40'],
    ['a line break after the agentId', { agentId: 'agent\n' }, 'metadata.agentId must be'],
    ['NUL in the agentId', { agentId: 'a\u0000b' }, 'metadata.agentId must be'],
    ['no userId', { userId: undefined }, 'metadata.userId is missing'],
    ['an empty userId', { userId: '' }, 'metadata.userId must not be empty'],
    ['an over-long userId', { userId: 'u'.repeat(201) }, 'metadata.userId must have at most 200'],
    ['NUL in the userId', { userId: 'a\u0000b' }, 'metadata.userId contains unprintable characters'],
    ['controls in the userId', { userId: 'a\u001b[31mb' }, 'metadata.userId contains unprintable characters'],
    [
      'half a surrogate in the userId',
      { userId: 'a\ud800b' },
      'metadata.userId contains unprintable characters',
    ],
    [
      'a turned text direction in the userId',
      { userId: 'a\u202eb' },
      'metadata.userId contains unprintable characters',
    ],
    ['no region', { region: undefined }, 'metadata.region is missing'],
    ['an unknown region', { region: 'mars-1' }, 'metadata.region is unknown: "mars-1"'],
    ['a region of another language’s', { region: 'constructor' }, 'metadata.region is unknown'],
    ['an over-long region', { region: 'x'.repeat(100_000) }, 'metadata.region must have at most 40'],
    ['a region of a wrong type', { region: null }, 'metadata.region must be a string'],
    ['an unknown plan', { plan: 'enterprise' }, 'metadata.plan is unknown: "enterprise"'],
    ['a plan of a wrong type', { plan: 3 }, 'metadata.plan must be a string'],
  ])('%s', async (_name, metadata, reason) => {
    const event = paidCheckout(metadata);
    const result = await added(async () => {
      expect(await deliver(service.url, event)).toMatchObject({ status: 200, body: { received: true } });
    });
    expect(result).toEqual({ ...NOTHING, events: 1, orders: 1 });
    expect(await getOrder(event.id)).toMatchObject({
      agent_id: null,
      session_id: event.data.object.id,
      attention: expect.stringContaining(reason),
    });
    expect(await eventRow(event.id)).toMatchObject({
      outcome: 'attention',
      reason: expect.stringContaining(reason),
    });
    expect(service.logged).toContainEqual(
      expect.objectContaining({ event: 'stripe.recorded', stripeEventId: event.id, outcome: 'attention' }),
    );
  });

  it('an order for an existing agent', async () => {
    const first = paidCheckout();
    await deliver(service.url, first);
    const second = paidCheckout(first.data.object.metadata);
    expect(await added(() => deliver(service.url, second))).toEqual({ ...NOTHING, events: 1, orders: 1 });
    expect(await getOrder(second.id)).toMatchObject({ attention: expect.stringContaining('exists already') });
    const listed = await (await service.ask('/api/orders?attention=true&limit=1')).json();
    expect(listed).toMatchObject({ items: [{ sessionId: second.data.object.id, agentId: null }] });
  });

  it.each([
    ['running', 'exists already'],
    ['destroyed', 'is destroyed'],
  ])('an order for an agent that is %s', async (status, reason) => {
    const first = paidCheckout();
    const { agentId } = first.data.object.metadata as { agentId: string };
    await deliver(service.url, first);
    await service.database
      .updateTable('agents')
      .set(
        status === 'running'
          ? { server_id: toServerId(agentId), tailnet_ip: '100.64.0.1', status }
          : { status: 'destroyed' },
      )
      .where('agent_id', '=', agentId)
      .execute();
    const second = paidCheckout(first.data.object.metadata);
    expect(await added(() => deliver(service.url, second))).toEqual({ ...NOTHING, events: 1, orders: 1 });
    expect(await getOrder(second.id)).toMatchObject({ attention: expect.stringContaining(reason) });
    const again = { ...first, id: `${first.id}_again` };
    expect(await added(() => deliver(service.url, again))).toEqual({ ...NOTHING, events: 1 });
  });

  it('text that Postgres cannot store, anywhere in the event, loses no event', async () => {
    const event = paidCheckout({}, { note: 'a\u0000b\udfff', 'key\u0000': { deep: ['\ud800'] } });
    expect(await added(() => deliver(service.url, event))).toEqual(ONE_OF_EACH);
    expect((await eventRow(event.id))?.payload).toMatchObject({ note: 'a\ufffdb\ufffd' });
  });
});

describe('malformed objects', () => {
  it.each(['metadata', 'payment_status', 'mode', 'subscription', 'customer'])(
    'a session without the key %s is answered 200 and leaves a trace',
    async (key) => {
      const event = paidCheckout({}, { session: { mode: 'subscription' } });
      delete event.data.object[key];
      expect(await deliver(service.url, event)).toMatchObject({ status: 200, body: { received: true } });
      expect(await eventRow(event.id)).toMatchObject({ outcome: expect.any(String) });
      if (key === 'metadata')
        expect(await getOrder(event.id)).toMatchObject({ attention: expect.stringContaining('is missing') });
      if (key === 'payment_status') expect(await getOrder(event.id)).toBeUndefined();
    },
  );

  it('an updated card (mode setup) buys nothing', async () => {
    const event = paidCheckout({}, { session: { mode: 'setup', payment_status: 'no_payment_required' } });
    expect(await added(() => deliver(service.url, event))).toEqual({ ...NOTHING, events: 1 });
  });

  it('a thin event is answered 200, stored, and reported with its fix', async () => {
    const event = {
      id: `evt_thin_${Date.now()}`,
      object: 'v2.core.event',
      type: 'v1.billing.meter.no_meter_found',
      created: '2026-09-17T06:20:52.246Z',
      livemode: false,
      context: null,
      related_object: { id: 'meter_1', type: 'billing.meter', url: '/v1/billing/meters/meter_1' },
    };
    const result = await added(async () => {
      expect(await deliver(service.url, event)).toMatchObject({ status: 200, body: { received: true } });
    });
    expect(result).toEqual({ ...NOTHING, events: 1 });
    expect(await eventRow(event.id)).toMatchObject({ outcome: 'ignored', payload: event, object_id: null });
    expect(service.logged).toContainEqual(
      expect.objectContaining({
        stripeEventId: event.id,
        level: 40,
        reason: expect.stringContaining('snapshot'),
      }),
    );
  });

  it('a paid checkout in a connected account is stored, and provisions nothing', async () => {
    const event = paidCheckout({}, { account: 'acct_1ABC' });
    expect(await added(() => deliver(service.url, event))).toEqual({ ...NOTHING, events: 1 });
    expect(await eventRow(event.id)).toMatchObject({
      outcome: 'ignored',
      reason: expect.stringContaining('connected account'),
    });
  });
});

describe('events without effect', () => {
  it.each([
    'customer.subscription.deleted',
    'invoice.payment_failed',
    'checkout.session.async_payment_failed',
    'something.new',
  ])('%s is stored and ignored', async (type) => {
    const event = paidCheckout({}, { type });
    const result = await added(async () => {
      expect(await deliver(service.url, event)).toMatchObject({ status: 200, body: { received: true } });
    });
    expect(result).toEqual({ ...NOTHING, events: 1 });
    expect(await eventRow(event.id)).toMatchObject({ outcome: 'ignored', type });
  });

  it('a test event in live mode is stored and ignored; a live one is not ignored', async () => {
    const live = await startService({ mode: 'live', machines: undefined });
    try {
      const test = paidCheckout();
      expect((await deliver(live.url, test)).status).toBe(200);
      expect((await deliver(live.url, paidCheckout({}, { livemode: true }))).status).toBe(200);
      const events = await live.database.selectFrom('stripe_events').select(['id', 'outcome']).execute();
      expect(events.find((row) => row.id === test.id)?.outcome).toBe('ignored');
      expect(await live.database.selectFrom('agents').selectAll().execute()).toHaveLength(1);
    } finally {
      await live.stop();
    }
  });
});

describe('bad signatures are refused, and nothing is stored', () => {
  const body = JSON.stringify(paidCheckout());
  const good = sign(body);
  const [time, signature] = good.split(',') as [string, string];
  it.each<[string, string | null, string]>([
    ['missing', null, 'missing'],
    ['empty', '', 'missing'],
    ['malformed', 'nonsense', 'malformed'],
    ['without a time', signature, 'malformed'],
    ['without a signature', time, 'malformed'],
    ['with a time that is none', `t=abc,${signature}`, 'malformed'],
    ['of another scheme', good.replace('v1=', 'v0='), 'malformed'],
    ['wrong', `${time},v1=${'0'.repeat(64)}`, 'No signatures found matching'],
    ['of another secret', sign(body, { secret: 'whsec_other' }), 'No signatures found matching'],
    ['of another body', sign(`${body} `), 'No signatures found matching'],
    ['older than 300 seconds', sign(body, { ageSeconds: 302 }), 'Timestamp outside'],
    ['more than 300 seconds ahead', sign(body, { ageSeconds: -900 }), 'Timestamp outside'],
    ['ten years ahead', sign(body, { ageSeconds: -315_360_000 }), 'Timestamp outside'],
    ['with another time', `t=${Number(time.slice(2)) + 1},${signature}`, 'No signatures found matching'],
    ['truncated', good.slice(0, -1), 'No signatures found matching'],
    ['truncated to nothing', `${time},v1=`, 'malformed'],
    ['doubled in one header', `${good},${good}`, 'malformed'],
    ['with the same signature twice', `${good},${signature}`, 'twice'],
  ])('%s', async (_name, header, reason) => {
    const result = await added(async () => {
      const answer = await deliver(service.url, body, { signature: header });
      expect(answer).toMatchObject({ status: 400, body: { error: expect.stringContaining(reason) } });
    });
    expect(result).toEqual(NOTHING);
    expect(service.logged.at(-1)).toMatchObject({ event: 'stripe.refused', status: 400 });
  });

  it('a timestamp less than 300 seconds ahead is accepted as a fast clock', async () => {
    const event = JSON.stringify(paidCheckout());
    const answer = await deliver(service.url, event, { signature: sign(event, { ageSeconds: -280 }) });
    expect(answer.status).toBe(200);
  });

  it('a duplicate header', async () => {
    const response = await fetchWithTwoSignatures(service.url, body, good);
    expect(response).toMatchObject({ status: 400, text: expect.stringContaining('more than once') });
  });

  it('a signature of a body that another decoding would match', async () => {
    const result = await added(async () => {
      for (const bytes of [
        Buffer.from(`\ufeff${body}`),
        Buffer.from(body.replace('user-1', 'user-\xff'), 'latin1'),
      ]) {
        const response = await fetch(`${service.url}/api/webhooks/stripe`, {
          method: 'POST',
          headers: {
            'stripe-signature': sign(body.replace('user-1', bytes[0] === 0xef ? 'user-1' : 'user-\ufffd')),
          },
          body: bytes,
        });
        expect(response.status).toBe(400);
      }
    });
    expect(result).toEqual(NOTHING);
  });
});

describe('bad bodies are refused, and nothing is stored', () => {
  it.each([
    ['', 'Stripe-Signature'],
    ['{"id":', 'not JSON'],
    ['null', 'not a Stripe event'],
    ['[]', 'not a Stripe event'],
    ['"evt_1"', 'not a Stripe event'],
    ['{}', 'id'],
    ['{"id":"evt_1"}', 'type'],
    ['{"id":7,"type":"x","data":{"object":{}}}', 'id'],
    ['{"id":"evt_1","object":"customer","type":"x","data":{"object":{}}}', 'object'],
    ['{"id":"evt_1","type":"checkout.session.completed","data":{"object":[]}}', 'data.object'],
    ['{"id":"evt_1","type":"checkout.session.completed","data":{"object":{}}}', 'data.object.id'],
    [
      `{"id":"evt_1","type":"x","data":{"object":{"a":${'['.repeat(90_000)}${']'.repeat(90_000)}}}}`,
      'nested',
    ],
  ])('%s → %s', async (body, reason) => {
    const result = await added(async () => {
      const answer = await deliver(service.url, body);
      expect(answer).toMatchObject({ status: 400, body: { error: expect.stringContaining(reason) } });
    });
    expect(result).toEqual(NOTHING);
  });

  it('a body that is nested too deeply', async () => {
    const deep = `${'['.repeat(90_000)}${']'.repeat(90_000)}`;
    const answer = await deliver(service.url, `{"id":"evt_1","type":"x","data":{"object":{"a":${deep}}}}`);
    expect(answer).toMatchObject({ status: 400, body: { error: expect.stringContaining('nested') } });
  });

  it('a body of 1 MB, whatever its signature', async () => {
    const event = paidCheckout({}, { padding: 'x'.repeat(1_000_000) });
    const result = await added(async () => {
      const answer = await deliver(service.url, event);
      expect(answer).toMatchObject({ status: 413, body: { error: expect.stringContaining('too large') } });
    });
    expect(result).toEqual(NOTHING);
    expect((await deliver(service.url, paidCheckout())).status).toBe(200);
  });
});

async function fetchWithTwoSignatures(url: string, body: string, signature: string) {
  const { request } = await import('node:http');
  return new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
    const outgoing = request(`${url}/api/webhooks/stripe`, { method: 'POST' }, async (response) => {
      const chunks = await response.toArray();
      resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() });
    });
    outgoing.on('error', reject);
    outgoing.setHeader('stripe-signature', [signature, signature]);
    outgoing.end(body);
  });
}
