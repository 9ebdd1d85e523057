import { randomUUID } from 'node:crypto';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { API_TOKEN, startService, type TestService } from '../support/http-service.ts';
import { finishProvision } from '../support/operation-progress.ts';
import { deliver, paidCheckout } from '../support/stripe-events.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const agent = (more: object = {}) => ({ userId: 'user-1', region: 'eu-west', ...more });

async function create(more: object = {}): Promise<{ agentId: string; operationId: string }> {
  const response = await service.ask('/api/agents', { json: agent(more) });
  expect(response.status).toBe(202);
  return (await response.json()) as { agentId: string; operationId: string };
}

async function body(response: Response | Promise<Response>): Promise<Record<string, unknown>> {
  return (await (await response).json()) as Record<string, unknown>;
}

describe('agents', () => {
  it('creates one without an order, and generates an id if none is given', async () => {
    const response = await service.ask('/api/agents', { json: agent({ plan: 'max' }) });
    expect(response.status).toBe(202);
    const operation = await body(response);
    expect(operation).toMatchObject({
      kind: 'provision',
      status: 'queued',
      step: null,
      attempt: 0,
      retryCount: 0,
      executor: 'local',
      stripeEventId: null,
      timeline: [{ step: 'queued', seconds: null }],
    });
    expect(response.headers.get('location')).toBe(`/api/operations/${operation.operationId}`);
    expect(await body(service.ask(`/api/agents/${operation.agentId}`))).toMatchObject({
      plan: 'max',
      location: 'fsn1',
      stackName: `agent-${operation.agentId}`,
      health: 'unknown',
      project: 'default',
    });
  });

  it('refuses a used id', async () => {
    const { agentId } = await create();
    const response = await service.ask('/api/agents', { json: agent({ agentId }) });
    expect(response.status).toBe(409);
    expect(await body(response)).toMatchObject({
      status: 409,
      title: 'Conflict',
      detail: expect.stringContaining(agentId),
    });
  });

  it('says that a destroyed agent’s id is never reused', async () => {
    const { agentId } = await create();
    await sql`update agents set status = 'destroyed' where agent_id = ${agentId}`.execute(service.database);
    const response = await service.ask('/api/agents', { json: agent({ agentId }) });
    expect(response.status).toBe(409);
    expect(await body(response)).toMatchObject({
      detail: `The id ${agentId} was used by an agent that is destroyed; an id is never used again`,
    });
  });

  it('names every unknown query parameter', async () => {
    const response = await service.ask('/api/agents?state=running&page=2');
    expect(await body(response)).toMatchObject({
      status: 400,
      detail: 'query.state is unknown; query.page is unknown',
    });
    for (const path of ['/api/orders?x=1', '/api/agents/a1/operations?x=1']) {
      expect((await service.ask(path)).status, path).toBe(400);
    }
  });

  it.each([
    [agent({ region: 'moon' }), 'body.region is unknown'],
    [agent({ userId: 5 }), 'body.userId must be a string'],
    [agent({ agentId: 'UPPER' }), 'body.agentId must be'],
    [agent({ plan: 'huge' }), 'body.plan is unknown'],
    [agent({ agentID: 'typo' }), 'agentID'],
    [{}, 'body.userId is missing; body.region is missing'],
    [[], 'body must be a JSON object'],
    [null, 'body must be a JSON object'],
  ])('refuses %j', async (json, detail) => {
    const response = await service.ask('/api/agents', { json });
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    expect(await body(response)).toMatchObject({ detail: expect.stringContaining(detail) });
  });

  it('refuses bodies that are not JSON, and says so', async () => {
    const headers = { 'content-type': 'application/json' };
    expect((await service.ask('/api/agents', { method: 'POST', body: '{', headers })).status).toBe(400);
    expect((await service.ask('/api/agents', { method: 'POST', headers })).status).toBe(400);
    expect((await service.ask('/api/agents', { method: 'POST' })).status).toBe(400);
    const form = await service.ask('/api/agents', {
      method: 'POST',
      body: new URLSearchParams({ userId: 'u' }),
    });
    expect(form.status).toBe(415);
    const large = await service.ask('/api/agents', { json: agent({ userId: 'x'.repeat(100_000) }) });
    expect(large.status).toBe(413);
  });

  it('lists all of them once, in pages, newest first, and by status', async () => {
    for (let index = 0; index < 5; index++) await create();
    const all = (await body(service.ask('/api/agents?limit=200'))).items as {
      agentId: string;
      createdAt: string;
    }[];
    expect(all.length).toBeGreaterThanOrEqual(5);
    expect(all.map((one) => one.createdAt)).toEqual(
      all
        .map((one) => one.createdAt)
        .toSorted()
        .reverse(),
    );
    const paged: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page = await body(service.ask(`/api/agents?limit=2${cursor ? `&cursor=${cursor}` : ''}`));
      paged.push(...(page.items as { agentId: string }[]).map((one) => one.agentId));
      cursor = page.nextCursor as string | null;
    }
    expect(paged).toEqual(all.map((one) => one.agentId));
    expect(await body(service.ask('/api/agents?status=suspended'))).toEqual({ items: [], nextCursor: null });
  });

  it.each([
    'Limit=5',
    'limit=5&state=running',
    'limit=0',
    'limit=201',
    'limit=many',
    'status=asleep',
    'cursor=x',
    'cursor=WyJvcmRlciIsIngiXQ',
  ])('refuses ?%s', async (query) => {
    expect((await service.ask(`/api/agents?${query}`)).status).toBe(400);
  });

  it.each(['none-such', 'UPPER', '%00', 'a%2fb', '%zz', 'a'.repeat(41)])(
    'does not find agent %s',
    async (id) => {
      const response = await service.ask(`/api/agents/${id}`);
      expect([400, 404]).toContain(response.status);
      expect(response.headers.get('content-type')).toContain('application/problem+json');
    },
  );
});

describe('Idempotency-Key', () => {
  /** With the lock's holder and the observer, this uses all of the pool's connections. */
  const WAITING = 6;
  const waitingForLocks = async () => {
    const { rows } = await sql<{ count: number }>`select count(*) from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(service.database);
    return rows[0]?.count ?? 0;
  };
  const post = (key: string, json: object) =>
    service.ask('/api/agents', { json, headers: { 'idempotency-key': key } });

  it('returns the same operation for the same request, even for concurrent copies', async () => {
    const key = randomUUID();
    const requests: Promise<Response>[] = [];
    // The lock is held until several requests wait for it.
    await service.database.transaction().execute(async (trx) => {
      await sql`lock table agents in exclusive mode`.execute(trx);
      for (let index = 0; index < WAITING; index++) requests.push(post(key, agent()));
      await expect.poll(waitingForLocks, { timeout: 10_000 }).toBe(WAITING);
    });
    const answers = await Promise.all(requests);
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([202]));
    const ids = await Promise.all(answers.map(async (answer) => (await body(answer)).operationId));
    expect(new Set(ids).size).toBe(1);
    const reordered = await post(key, { region: 'eu-west', userId: 'user-1' });
    expect((await body(reordered)).operationId).toBe(ids[0]);
  });

  it('refuses the same key with another body, and a malformed key', async () => {
    const key = randomUUID();
    await post(key, agent());
    expect((await post(key, agent({ plan: 'pro' }))).status).toBe(422);
    expect((await post('two words', agent())).status).toBe(400);
  });
});

describe('operations', () => {
  it('refreshes and destroys a running agent, and refuses what its state does not allow', async () => {
    const { agentId, operationId } = await create();
    const refuse = await service.ask(`/api/agents/${agentId}/refresh`, { method: 'POST' });
    expect(refuse.status).toBe(409);
    expect(await body(refuse)).toMatchObject({ detail: expect.stringContaining('is requested') });
    await finishProvision(service.database, { agentId, operationId });
    const refresh = await service.ask(`/api/agents/${agentId}/refresh`, { method: 'POST' });
    expect(refresh.status).toBe(202);
    expect(await body(refresh)).toMatchObject({ kind: 'refresh', status: 'queued', agentId });
    expect((await service.ask(`/api/agents/${agentId}/refresh`, { method: 'POST' })).status).toBe(409);
    const destroys = await Promise.all(
      Array.from({ length: 5 }, () => service.ask(`/api/agents/${agentId}/destroy`, { method: 'POST' })),
    );
    expect(destroys.map((answer) => answer.status).sort()).toEqual([202, 409, 409, 409, 409]);
    expect(await body(service.ask(`/api/agents/${agentId}`))).toMatchObject({ status: 'destroying' });
    const { items } = await body(service.ask(`/api/agents/${agentId}/operations`));
    expect(items).toMatchObject([
      { kind: 'destroy', status: 'queued' },
      { kind: 'refresh', status: 'cancelled' },
      { kind: 'provision', status: 'succeeded' },
    ]);
    const page = await body(service.ask(`/api/agents/${agentId}/operations?limit=2`));
    const rest = await body(
      service.ask(`/api/agents/${agentId}/operations?limit=2&cursor=${page.nextCursor}`),
    );
    expect([...(page.items as object[]), ...(rest.items as object[])]).toEqual(items);
    expect(rest.nextCursor).toBeNull();
  });

  it.each(['start', 'stop', 'restart', 'reconfigure', 'rebuild', 'destroy', 'refresh'])(
    '%s of an unknown agent is a 404',
    async (verb) => {
      expect((await service.ask(`/api/agents/none-such/${verb}`, { method: 'POST' })).status).toBe(404);
    },
  );

  it('accepts an empty body where none is expected, and refuses any other', async () => {
    const { agentId, operationId } = await create();
    await finishProvision(service.database, { agentId, operationId });
    const refused = await service.ask(`/api/agents/${agentId}/restart`, { json: { hard: true } });
    expect(refused.status).toBe(400);
    expect(await body(refused)).toMatchObject({ detail: 'body.hard is unknown' });
    const accepted = await service.ask(`/api/agents/${agentId}/restart`, { json: {} });
    expect(accepted.status).toBe(202);
    expect(await body(accepted)).toMatchObject({ kind: 'restart', status: 'queued' });
    const stop = await service.ask(`/api/agents/${agentId}/stop`, { method: 'POST' });
    expect(stop.status).toBe(409);
    expect(await body(stop)).toMatchObject({ detail: expect.stringContaining('A restart of agent') });
    expect((await service.ask(`/api/agents/${agentId}/start`, { method: 'POST' })).status).toBe(409);
  });

  it('resizes only to another plan that is sold', async () => {
    const { agentId, operationId } = await create();
    await finishProvision(service.database, { agentId, operationId });
    const resize = (json: object) => service.ask(`/api/agents/${agentId}/resize`, { json });
    expect((await service.ask(`/api/agents/${agentId}/resize`, { method: 'POST' })).status).toBe(400);
    expect(await body(resize({ plan: 'huge' }))).toMatchObject({
      status: 400,
      detail: expect.stringContaining('body.plan is unknown'),
    });
    expect((await resize({ plan: 'starter' })).status).toBe(409);
    expect(await body(resize({ plan: 'pro' }))).toMatchObject({ kind: 'resize', status: 'queued' });
    expect(await body(service.ask(`/api/agents/${agentId}`))).toMatchObject({ plan: 'starter' });
  });

  it('cancels a waiting operation and retries a cancelled one', async () => {
    const { agentId, operationId } = await create();
    const cancel = await service.ask(`/api/operations/${operationId}/cancel`, { method: 'POST' });
    expect(cancel.status).toBe(202);
    expect(await body(cancel)).toMatchObject({ operationId, status: 'cancelled' });
    expect((await service.ask(`/api/operations/${operationId}/cancel`, { method: 'POST' })).status).toBe(409);
    expect(await body(service.ask(`/api/agents/${agentId}`))).toMatchObject({ status: 'failed' });
    const retry = await service.ask(`/api/operations/${operationId}/retry`, { method: 'POST' });
    expect(retry.status).toBe(202);
    expect(await body(retry)).toMatchObject({ operationId, status: 'queued' });
    expect((await service.ask(`/api/operations/${operationId}/retry`, { method: 'POST' })).status).toBe(409);
  });

  it.each(['7', 'not-a-uuid', randomUUID()])('does not find operation %s', async (id) => {
    expect((await service.ask(`/api/operations/${id}`)).status).toBe(404);
    expect((await service.ask(`/api/operations/${id}/cancel`, { method: 'POST' })).status).toBe(404);
    expect((await service.ask(`/api/operations/${id}/events`)).status).toBe(404);
  });
});

describe('orders', () => {
  it('lists each with its agent, or with the reason why it has none', async () => {
    const good = paidCheckout();
    const bad = paidCheckout({ region: 'nowhere' });
    await deliver(service.url, good);
    await deliver(service.url, bad);
    const { items } = (await body(service.ask('/api/orders?limit=2'))) as { items: object[] };
    expect(items).toMatchObject([
      { sessionId: bad.data.object.id, agentId: null, attention: expect.stringContaining('nowhere') },
      {
        sessionId: good.data.object.id,
        agentId: expect.any(String),
        attention: null,
        stripeEventId: good.id,
      },
    ]);
    const attention = await body(service.ask('/api/orders?attention=true'));
    expect(attention.items).toMatchObject([{ sessionId: bad.data.object.id }]);
    const first = await body(service.ask('/api/orders?limit=1'));
    expect(await body(service.ask(`/api/orders?limit=1&cursor=${first.nextCursor}`))).toMatchObject({
      items: [{ sessionId: good.data.object.id }],
    });
    expect((await service.ask('/api/orders?attention=perhaps')).status).toBe(400);
  });
});

describe('an order that needs attention', () => {
  const pay = async (metadata: object = {}, session: object = {}) => {
    const event = paidCheckout({ region: 'nowhere', ...metadata }, { session: { ...session } });
    await deliver(service.url, event);
    const { id, subscription } = event.data.object;
    return { order: String(id), subscription: String(subscription) };
  };
  const link = (order: string, json: object) =>
    service.ask(`/api/orders/${order}/link`, { method: 'POST', json });
  const subscriptionOf = async (agentId: string) =>
    (await body(service.ask(`/api/agents/${agentId}`))).subscriptionId;
  const linked = async (agentId: string) =>
    (
      await service.database
        .selectFrom('subscriptions')
        .select(['subscription_id', 'governs'])
        .where('agent_id', '=', agentId)
        .orderBy('subscription_id')
        .execute()
    ).map((row) => [row.subscription_id, row.governs]);
  const settled = (order: string) =>
    service.database
      .selectFrom('audit_log')
      .select(['actor', 'agent_id', 'details'])
      .where('action', '=', 'order.settle')
      .where(sql<boolean>`details->>'sessionId' = ${order}`)
      .execute();

  it('gets the agent that is created for it, whose subscription is followed from then on', async () => {
    const { order, subscription } = await pay();
    const headers = { 'idempotency-key': `for ${order}`.replaceAll(' ', '-') };
    const json = agent({ order });
    const { agentId } = await body(service.ask('/api/agents', { headers, json }));
    expect(await body(service.ask('/api/orders?limit=1'))).toMatchObject({
      items: [{ sessionId: order, agentId, attention: null }],
    });
    expect(await linked(String(agentId))).toEqual([[subscription, true]]);
    expect(await subscriptionOf(String(agentId))).toBe(subscription);
    expect(await body(service.ask('/api/agents', { headers, json }))).toMatchObject({ agentId });
    expect(await settled(order)).toEqual([
      { actor: 'operator', agent_id: agentId, details: { sessionId: order, subscriptionId: subscription } },
    ]);
    // Nothing is left of an agent whose order is refused.
    const refused = await service.ask('/api/agents', { json: agent({ order, agentId: 'second-of-it' }) });
    expect([refused.status, await refused.json()]).toMatchObject([
      409,
      { detail: expect.stringContaining(`has an agent already: ${agentId}`) },
    ]);
    expect((await service.ask('/api/agents/second-of-it')).status).toBe(404);
  });

  it('gets an agent that was created by hand before, once', async () => {
    const { order, subscription } = await pay();
    const { agentId } = await create();
    for (const _ of ['first', 'again']) {
      const response = await link(order, { agentId });
      expect([response.status, await response.json()]).toMatchObject([
        200,
        { sessionId: order, agentId, attention: null },
      ]);
    }
    expect(await linked(agentId)).toEqual([[subscription, true]]);
    expect(await settled(order)).toHaveLength(1);
    const other = await create();
    expect((await link(order, { agentId: other.agentId })).status).toBe(409);
  });

  it('gets the agent that it names and that has an order already', async () => {
    const { agentId, order: first } = await (async () => {
      const event = paidCheckout();
      await deliver(service.url, event);
      return {
        agentId: (event.data.object.metadata as { agentId: string }).agentId,
        order: event.data.object.id,
      };
    })();
    const { order, subscription } = await pay({ agentId });
    expect((await linked(agentId)).flat()).toContain(subscription);
    expect((await link(order, { agentId })).status).toBe(200);
    const { items } = (await body(service.ask('/api/orders?limit=2'))) as { items: object[] };
    expect(items).toMatchObject([
      { sessionId: order, agentId, attention: null },
      { sessionId: first, agentId },
    ]);
  });

  it('takes its subscription from the agent that it had named, if another is billed for that one', async () => {
    const { agentId } = await create();
    const one = await pay({ agentId });
    const json = (order: string) => agent({ order });
    const alone = await service.ask('/api/agents', { json: json(one.order) });
    expect([alone.status, await alone.json()]).toMatchObject([
      409,
      { detail: expect.stringContaining(`pays for agent ${agentId}`) },
    ]);
    const two = await pay({ agentId });
    const become = (state: string) =>
      service.database
        .updateTable('subscriptions')
        .set({ state, demand: 'run' })
        .where('subscription_id', '=', two.subscription)
        .execute();
    // An ended one pays for nothing: its agent would be taken from a customer who pays.
    await become('ended');
    expect((await service.ask('/api/agents', { json: json(one.order) })).status).toBe(409);
    await become('paid');
    const created = await body(service.ask('/api/agents', { json: json(one.order) }));
    expect(await linked(String(created.agentId))).toEqual([[one.subscription, true]]);
    expect(await linked(agentId)).toEqual([[two.subscription, true]]);
  });

  it.each([
    ['an order that is unknown', async () => ['cs_nothing', (await create()).agentId], 404],
    ['an agent that is unknown', async () => [(await pay()).order, 'nothing'], 404],
    [
      'another user’s agent',
      async () => [(await pay({ userId: 'u-other' })).order, (await create()).agentId],
      409,
    ],
    [
      'an agent that is destroyed',
      async () => {
        const { agentId } = await create();
        await sql`update agents set status = 'destroyed' where agent_id = ${agentId}`.execute(
          service.database,
        );
        return [(await pay()).order, agentId];
      },
      409,
    ],
  ] as const)('is refused with %s', async (_, given, status) => {
    const [order, agentId] = await given();
    expect((await link(order!, { agentId })).status).toBe(status);
  });

  it('is looked for at Stripe if a lost database had it', async () => {
    const { id, object } = { id: 'cs_lost', object: paidCheckout().data.object };
    const found = {
      event: { id: `recovered_${id}`, type: 'checkout.session.completed', livemode: false, payload: {} },
      order: { sessionId: id, subscriptionId: 'sub_lost', customerId: 'cus_lost', metadata: object.metadata },
    };
    const createdAt = new Date('2026-01-01T00:00:00Z');
    service.deps.findSession = async (session) =>
      session === id ? ({ ...found, event: { ...found.event, createdAt } } as never) : undefined;
    const response = await service.ask('/api/agents', { json: agent({ order: id }) });
    expect(response.status).toBe(202);
    const { agentId } = await body(response);
    expect(await linked(String(agentId))).toEqual([['sub_lost', true]]);
    expect((await service.ask('/api/agents', { json: agent({ order: 'cs_lost_too' }) })).status).toBe(404);
    service.deps.findSession = undefined;
  });
});

describe('access', () => {
  const operatorRoutes = [
    '/api/agents',
    '/api/orders',
    '/api/events',
    '/metrics',
    `/api/operations/${randomUUID()}`,
  ];

  it.each(operatorRoutes)('%s needs the token', async (path) => {
    for (const authorization of [
      '',
      'Bearer',
      'Bearer wrong',
      `Basic ${API_TOKEN}`,
      `Bearer ${API_TOKEN}x`,
    ]) {
      const response = await service.ask(path, { headers: { authorization } });
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
      expect(response.headers.get('content-type')).toContain('application/problem+json');
    }
  });

  it('leaves health, readiness and the API document open', async () => {
    for (const path of ['/healthz', '/readyz', '/openapi.json']) {
      expect((await fetch(`${service.url}${path}`)).status).toBe(200);
    }
  });

  it('answers unknown paths with 404 and wrong methods with 405', async () => {
    expect((await service.ask('/api/nothing')).status).toBe(404);
    const wrong = await service.ask('/api/agents', { method: 'DELETE' });
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get('allow')).toBe('GET, POST, HEAD');
    expect((await service.ask('/api/webhooks/stripe')).status).toBe(405);
  });

  it('reports that the schema is another version', async () => {
    await sql`insert into kysely_migration (name, timestamp) values ('9999-later', '2099')`.execute(
      service.database,
    );
    const response = await service.ask('/readyz');
    await sql`delete from kysely_migration where name = '9999-later'`.execute(service.database);
    expect(response.status).toBe(503);
    expect(await body(response)).toMatchObject({
      checks: { database: 'ok', schema: expect.stringContaining('9999') },
    });
  });
});

describe('documents', () => {
  it('describes every route, and the answers match', async () => {
    const document = await body(service.ask('/openapi.json'));
    expect(document.openapi).toBe('3.1.0');
    const paths = Object.keys(document.paths as object);
    expect(paths).toEqual(
      expect.arrayContaining([
        '/api/webhooks/stripe',
        '/api/agents',
        '/api/agents/{agentId}',
        '/api/agents/{agentId}/destroy',
        '/api/agents/{agentId}/operations',
        '/api/operations/{operationId}',
        '/api/operations/{operationId}/events',
        '/api/operations/{operationId}/retry',
        '/api/orders',
        '/api/events',
        '/healthz',
        '/readyz',
        '/metrics',
      ]),
    );
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema(document, 'api');
    const validate = (name: string) => ajv.getSchema(`api#/components/schemas/${name}`)!;
    const { agentId, operationId } = await create();
    expect(validate('Agent')(await body(service.ask(`/api/agents/${agentId}`)))).toBe(true);
    expect(validate('Operation')(await body(service.ask(`/api/operations/${operationId}`)))).toBe(true);
    expect(validate('Problem')(await body(service.ask('/api/nothing')))).toBe(true);
    expect(validate('Agent')({ agentId })).toBe(false);
  });

  it('describes each route’s credentials and every refusal', async () => {
    const document = (await body(service.ask('/openapi.json'))) as {
      paths: Record<string, Record<string, { security?: object[]; responses: object; requestBody?: object }>>;
      components: { securitySchemes: object };
    };
    expect(document.components.securitySchemes).toMatchObject({
      apiToken: { type: 'http', scheme: 'bearer' },
      session: { type: 'apiKey', in: 'cookie', name: 'agent_stacks_session' },
    });
    const create = document.paths['/api/agents']!.post!;
    expect(create.security).toEqual([{ apiToken: [] }, { session: [] }]);
    const refusals = ['404', '405', '409', '413', '415', '421', '422', '429', '500', '503'];
    expect(Object.keys(create.responses)).toEqual(['202', '400', '401', '403', ...refusals]);
    const stop = document.paths['/api/agents/{agentId}/stop']!.post!;
    expect(Object.keys(stop.responses)).toEqual(expect.arrayContaining(['202', '403', '404', '409', '421']));
    expect(stop.requestBody).toMatchObject({ required: false });
    expect(document.paths['/healthz']!.get!.security).toBeUndefined();
  });

  it('logs only the beginning of a long path', async () => {
    const path = `/api/${'x'.repeat(15_000)}`;
    expect((await service.ask(path)).status).toBe(404);
    const line = service.logged.findLast(({ event }) => event === 'http.refused');
    expect(line).toMatchObject({
      status: 404,
      path: expect.stringMatching(/^\/api\/x+… \(14805 more characters\)$/),
    });
    expect(JSON.stringify(line).length).toBeLessThan(1_000);
  });

  /** What had a name without the prefix in the version before. */
  const OLDER = new Set(
    (
      'agents operations operations_due operations_due_oldest_seconds stripe_events_total orders_attention ' +
      'subscriptions_due subscriptions_due_oldest_seconds subscriptions_unreadable findings workers ' +
      'clouds_watched provision_seconds breaker_tripped breaker_waiting breaker_used breaker_allowed'
    ).split(' '),
  );

  it('exports counters in Prometheus’ format', async () => {
    const { agentId, operationId } = await create();
    await finishProvision(service.database, { agentId, operationId });
    const response = await service.ask('/metrics');
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const text = await response.text();
    for (const line of text.trim().split('\n')) {
      expect(line).toMatch(
        /^(# (HELP|TYPE) [a-z\d_]+ .+|[a-z\d_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [\d.e+-]+)$/,
      );
    }
    // Names without the prefix remain for one release and are marked as deprecated.
    const values = (prefix: string) =>
      [...text.matchAll(new RegExp(`^${prefix}((?!agent_stacks_)[a-z].*)$`, 'gm'))].map(
        ([, sample]) => sample,
      );
    expect(values('agent_stacks_').length).toBeGreaterThan(30);
    // Newer ones never had such a name.
    const old = values('agent_stacks_').filter((sample) =>
      OLDER.has(/^[a-z\d_]+?(?=_bucket|_sum|_count|[ {])/.exec(sample!)![0]),
    );
    expect(values('')).toEqual(old);
    const help = [...text.matchAll(/^# HELP (\S+) (.*)$/gm)].map(([, name, words]) => [name, words] as const);
    for (const [name, words] of help)
      expect(words!.startsWith('Deprecated')).toBe(!name!.startsWith('agent_stacks_'));
    expect(text).toMatch(/^agent_stacks_agents\{status="running"\} [1-9]/m);
    expect(text).toMatch(/^agents\{status="running"\} [1-9]/m);
    expect(text).toMatch(/^operations\{kind="provision",status="queued"\} [1-9]/m);
    expect(text).toMatch(/^provision_seconds_bucket\{le="\+Inf"\} [1-9]/m);
  });
});
