import { type Agent, request as httpRequest } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import fc from 'fast-check';
import { attemptToken, signBody } from '../../../src/executors/github-actions/callback-signature.ts';
import { CALLBACK_SECRET } from '../../support/github-callbacks.ts';
import { API_TOKEN } from '../../support/http-service.ts';
import { sign } from '../../support/stripe-events.ts';
import type { FuzzFixture, Route } from './fixture.ts';
import { hostileJson, type Mutation, mutated, mutation } from './hostile.ts';
import * as messages from './messages.ts';

/** A request as plain data, before it is sent. The same for the same seed. */
export interface Plan {
  route: number;
  n: number;
  message: number;
  mutations: Mutation[];
  /** How it authenticates; mostly correctly. */
  proof: 'right' | 'none' | 'wrong' | 'cookie';
  method: string | undefined;
  /** Replaces a parameter of the path, or the query. */
  path: string | undefined;
  query: [string, string][];
  /** Where the body is cut off, which makes it invalid JSON. */
  cut: number | undefined;
  header: string;
}

const word = fc.oneof(
  fc.constantFrom(
    '',
    '%00',
    '%ff',
    '%ud800',
    '..%2f..',
    'a'.repeat(3_000),
    '-oX',
    '__proto__',
    '9'.repeat(30),
  ),
  fc.constantFrom(
    'true',
    'false',
    '1',
    '200',
    'provisioning',
    'WyJhZ2VudCIsImYxIl0',
    'WyJvcmRlciIsIlx1MDAwMCJd',
  ),
  fc.string({ unit: 'binary', maxLength: 20 }).map((text) => encodeURIComponent(text.toWellFormed())),
  hostileJson.map((json) => Buffer.from(`["order",${json.slice(0, 200)}]`).toString('base64url')),
);
const parameter = fc.constantFrom(
  'cursor',
  'limit',
  'status',
  'attention',
  'lastEventId',
  'follow',
  'token',
  'next',
  'x',
);
const rarely = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 15, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

export const plan: fc.Arbitrary<Plan> = fc.record({
  route: fc.nat(999),
  n: messages.number,
  message: fc.nat(99),
  mutations: fc.oneof(
    { weight: 2, arbitrary: fc.constant<Mutation[]>([]) },
    { weight: 5, arbitrary: fc.array(mutation, { minLength: 1, maxLength: 3 }) },
  ),
  proof: fc.oneof(
    { weight: 20, arbitrary: fc.constant('right' as const) },
    { weight: 2, arbitrary: fc.constantFrom('none' as const, 'wrong' as const, 'cookie' as const) },
  ),
  method: rarely(fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH')),
  path: rarely(word),
  query: fc.oneof(
    { weight: 3, arbitrary: fc.constant<[string, string][]>([]) },
    { weight: 1, arbitrary: fc.array(fc.tuple(parameter, word), { minLength: 1, maxLength: 3 }) },
  ),
  cut: rarely(fc.nat(400)),
  header: fc.oneof(
    { weight: 4, arbitrary: fc.constant('') },
    fc.constantFrom('7', 'a b', 'k'.repeat(300), '-1'),
  ),
});

/** Signed routes get as many requests as all others together, because strangers can reach them. */
export function chooseRoute({ routes }: FuzzFixture, { route }: Plan): Route {
  const signed = routes.filter(({ path }) => SIGNED[path] !== undefined);
  return route % 2 === 0 ? signed[(route >> 1) % signed.length]! : routes[(route >> 1) % routes.length]!;
}

const SIGNED: Record<string, readonly messages.Message[]> = {
  '/api/webhooks/stripe': messages.STRIPE,
  '/api/webhooks/github': messages.CALLBACKS,
  '/api/runner/claim': messages.CLAIMS,
  '/api/runner/record': messages.RECORD_MESSAGES,
};

export interface Sent {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | undefined;
}

/**
 * Returns the request on the wire. Signatures and tokens cover what is sent, so that hostile input gets past
 * them.
 */
export function toRequest(fixture: FuzzFixture, wanted: Plan): Sent {
  const route = chooseRoute(fixture, wanted);
  const kinds = SIGNED[route.path] ?? messages.BODIES[route.path] ?? messages.NOTHING;
  const method = wanted.method ?? route.method;
  const whole = mutated(kinds[wanted.message % kinds.length]!(fixture, wanted.n), wanted.mutations);
  const body = method === 'GET' || method === 'HEAD' ? undefined : whole.slice(0, wanted.cut);
  const { path, headers } = addressed(fixture, route, wanted, body ?? '');
  return { method, path, headers: { ...headers, ...extra(wanted, route) }, body };
}

function extra({ header }: Plan, { path }: Route): Record<string, string> {
  if (header === '') return {};
  return path === '/api/agents' ? { 'idempotency-key': header } : { 'last-event-id': header };
}

function addressed(fixture: FuzzFixture, route: Route, wanted: Plan, body: string) {
  const { n, proof } = wanted;
  const agentId = messages.getAgentId(fixture, n);
  const jobId = messages.getJobId(fixture, n);
  const known: Record<string, string> = { agentId, operationId: jobId, kind: ['stop', 'rebuild'][n % 2]! };
  const path = route.path.replace(/[:*](\w+)/g, (_, name) => wanted.path ?? known[name] ?? 'x');
  const query = wanted.query.map(([key, value]) => `${key}=${value}`);
  if (route.path.startsWith('/status') && proof === 'right')
    query.push(`token=${fixture.buyersToken(agentId)}`);
  if (route.path in SIGNED && n % 4 === 0)
    query.push(`token=${attemptToken(CALLBACK_SECRET, { operationId: jobId, attempt: 1 + (n % 2) })}`);
  const address = `${path.startsWith('/') ? path : `/${path}`}${query.length > 0 ? `?${query.join('&')}` : ''}`;
  return { path: address, headers: getProofHeaders(route, proof, body) };
}

function getProofHeaders({ path }: Route, proof: Plan['proof'], body: string): Record<string, string> {
  const json = { 'content-type': 'application/json' };
  if (proof === 'none') return json;
  if (path === '/api/webhooks/stripe')
    return { ...json, 'stripe-signature': proof === 'right' ? sign(body) : `t=1,v1=${'0'.repeat(64)}` };
  if (path in SIGNED) {
    const signature = signBody(CALLBACK_SECRET, body);
    return { ...json, 'x-signature': proof === 'right' ? signature : signature.replace(/./, 'x') };
  }
  if (proof === 'cookie')
    return { ...json, cookie: 'agent_stacks_session=1.x', 'sec-fetch-site': 'same-origin' };
  return {
    ...json,
    authorization: `Bearer ${proof === 'right' ? API_TOKEN : 'x'}`,
    'sec-fetch-site': 'same-origin',
  };
}

/** @returns the status; of an endless answer it reads only the head. */
export function send(url: string, { method, path, headers, body }: Sent, agent: Agent): Promise<number> {
  const { hostname, port } = new URL(url);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  // Node does not frame the body of a DELETE or an OPTIONS by itself: the server would read it as the next
  // request.
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  const options = { hostname, port, method, path, headers: { ...headers, ...length }, agent };
  const outgoing = httpRequest(options, (response) => {
    const status = response.statusCode ?? 0;
    if (response.headers['content-type']?.startsWith('text/event-stream')) {
      outgoing.destroy();
      resolve(status);
    } else textOf(response).then(() => resolve(status), reject);
  });
  outgoing.on('error', reject);
  outgoing.end(body);
  return promise;
}
