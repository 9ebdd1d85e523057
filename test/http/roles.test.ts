import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { API_DOCUMENT, createApp } from '../../src/app/api.ts';
import { ROLES, type Role } from '../../src/database/vocabulary.ts';
import { startService, type TestService } from '../support/http-service.ts';
import { PATIENT } from '../support/patience.ts';
import { addPerson, makeToken, signIn } from '../support/people.ts';

/** Who may do what, on every route of the document and every form of the pages. */
let service: TestService;
const tokens = new Map<Role | 'revoked' | 'expired' | 'removed', string>();
const cookies = new Map<Role, Record<string, string>>();

beforeAll(async () => {
  service = await startService({ trustedProxies: 'loopback' });
  for (const role of ROLES) {
    const { token } = await addPerson(service, `a-${role}`, role);
    tokens.set(role, token);
    cookies.set(role, await signIn(service, token));
  }
  const revoked = await makeToken(service, 'a-admin');
  tokens.set('revoked', revoked.token);
  await service.ask(`/api/tokens/${revoked.tokenId}`, { method: 'DELETE' });
  const expired = await makeToken(service, 'a-admin');
  tokens.set('expired', expired.token);
  await sql`update tokens set created_at = now() - interval '2 days', expires_at = now() - interval '1 second'
    where token_id = ${expired.tokenId}`.execute(service.database);
  tokens.set('removed', (await addPerson(service, 'leaves', 'admin')).token);
  await service.ask('/api/people/leaves', { method: 'DELETE' });
});
afterAll(() => service.stop());

interface Route {
  method: string;
  path: string;
  operationId: string;
  least: string;
}

const ROUTES: Route[] = Object.entries(API_DOCUMENT.paths ?? {}).flatMap(([path, methods]) =>
  Object.entries(methods as Record<string, { operationId: string; 'x-least-role': string }>).map(
    ([method, { operationId, 'x-least-role': least }]) => ({
      method: method.toUpperCase(),
      path,
      operationId,
      least,
    }),
  ),
);
const GUARDED = ROUTES.filter(({ least }) => ROLES.includes(least as Role));

const ID = '00000000-0000-4000-8000-000000000000';
const fill = (path: string) =>
  path
    .replace('{operationId}', ID)
    .replace(/\{(token|session)Id\}/, ID)
    .replace('/breakers/{name}', '/breakers/creates')
    .replaceAll(/\{\w+\}/g, 'nobody');

/** A new address each time: refused tokens must not block the next call. */
let calls = 0;
const from = () => ({ 'x-forwarded-for': `10.${(calls >> 8) & 255}.${calls++ & 255}.1` });

/** @returns the status and the problem's type; a stream is left at once */
async function call({ method, path }: Route, headers: Record<string, string>) {
  const leave = new AbortController();
  const changes = method !== 'GET';
  const response = await service.ask(fill(path), {
    method,
    headers: { ...headers, ...from(), ...(changes && { 'content-type': 'application/json' }) },
    ...(changes && { body: '{"unknown":1}' }),
    signal: leave.signal,
  });
  const isProblem = response.headers.get('content-type')?.includes('problem+json') === true;
  const type = isProblem ? ((await response.json()) as { type: string }).type : undefined;
  leave.abort();
  return { status: response.status, type };
}

const bearer = (who: Parameters<typeof tokens.get>[0]) => ({ authorization: `Bearer ${tokens.get(who)}` });
const name = ({ method, path }: Route) => `${method} ${path}`;

test(
  'every route says who may, and nothing that changes is a viewer’s but what is their own',
  PATIENT,
  () => {
    expect(ROUTES.length).toBeGreaterThan(50);
    expect(ROUTES.filter(({ least }) => ![...ROLES, 'anyone', 'signature'].includes(least))).toEqual([]);
    const changing = GUARDED.filter(({ method }) => method !== 'GET');
    const below = (role: Role) => changing.filter(({ least }) => least === role).map(name);
    expect(below('viewer')).toEqual(['DELETE /api/tokens/{tokenId}', 'DELETE /api/sessions/{sessionId}']);
    expect(below('support')).toEqual(['POST /api/agents/{agentId}/restart']);
    expect(GUARDED.filter(({ least }) => least === 'admin').map(name)).toEqual([
      'POST /api/agents/{agentId}/adopt',
      'POST /api/agents/{agentId}/abandon',
      'POST /api/rebuild-state',
      'POST /api/rebuild-state/accept',
      'GET /api/people',
      'POST /api/people',
      'PATCH /api/people/{name}',
      'DELETE /api/people/{name}',
      'POST /api/tokens',
    ]);
  },
);

test.each(ROLES)('a token of the role %s is refused exactly what needs more', PATIENT, async (role) => {
  for (const route of GUARDED) {
    const may = ROLES.indexOf(role) >= ROLES.indexOf(route.least as Role);
    const { status, type } = await call(route, bearer(role));
    expect([name(route), type === '/problems/role-not-allowed']).toEqual([name(route), !may]);
    expect([name(route), status === 401, status === 403]).toEqual([name(route), false, !may]);
  }
});

test.each(ROLES)('a session of the role %s is refused exactly what needs more', PATIENT, async (role) => {
  for (const route of GUARDED) {
    const may = ROLES.indexOf(role) >= ROLES.indexOf(route.least as Role);
    const { status } = await call(route, cookies.get(role)!);
    expect([name(route), status === 401, status === 403]).toEqual([name(route), false, !may]);
  }
});

test.each(['revoked', 'expired', 'removed'] as const)(
  'a token that is %s is refused on every route',
  async (which) => {
    for (const route of GUARDED)
      expect([name(route), (await call(route, bearer(which))).status]).toEqual([name(route), 401]);
    const verbose = await service.ask('/readyz?verbose', { headers: { ...bearer(which), ...from() } });
    expect(verbose.status).toBe(401);
  },
);

describe('the forms of the pages', () => {
  interface Layer {
    route?: { path: string | string[]; methods: Record<string, boolean> };
    handle?: { stack?: Layer[] };
  }
  const postPaths = (layers: readonly Layer[]): string[] =>
    layers.flatMap(({ route, handle }) => {
      if (route === undefined) return postPaths(handle?.stack ?? []);
      const isForm = route.methods.post === true && Object.keys(route.methods).length < 3;
      return isForm ? [route.path].flat() : [];
    });
  /** Everything that the pages take by POST, as the app itself has it. */
  const forms = () => {
    const { stack } = createApp(service.deps).router as unknown as { stack: Layer[] };
    return postPaths(stack)
      .filter((path) => !path.startsWith('/api/'))
      .map((path) =>
        path
          .replace(/:(proposal|token|session)Id/, ID)
          .replace(':agentId', 'nobody')
          .replace('/breakers/:name', '/breakers/creates')
          .replace(':name', 'a-viewer'),
      );
  };
  const submit = (path: string, headers: Record<string, string>, fields: Record<string, string> = {}) =>
    service.ask(path, { method: 'POST', headers, body: new URLSearchParams(fields) });
  const OWN = [`/people/tokens/${ID}/revoke`, `/people/sessions/${ID}/end`];
  const OPEN = ['/sign-in', '/sign-in/tailscale', '/sign-out'];

  test('a viewer’s session can end what is its own, and nothing else', PATIENT, async () => {
    const guarded = forms().filter((path) => !OPEN.includes(path));
    expect(guarded.length).toBeGreaterThan(12);
    for (const path of guarded) {
      const { status } = await submit(path.replace(':kind', 'restart'), cookies.get('viewer')!);
      expect([path, status]).toEqual([path, OWN.includes(path) ? 404 : 403]);
    }
  });

  test('support restarts, one agent or several, and nothing else', PATIENT, async () => {
    const headers = cookies.get('support')!;
    for (const path of forms().filter(
      (one) => !OPEN.includes(one) && !OWN.includes(one) && one !== '/bulk' && !one.includes(':kind'),
    ))
      expect([path, (await submit(path, headers)).status]).toEqual([path, 403]);
    const kinds = [
      'start',
      'stop',
      'restart',
      'refresh',
      'reconfigure',
      'resize',
      'rebuild',
      'hibernate',
      'wake',
      'destroy',
    ];
    for (const kind of kinds) {
      const one = await submit(`/agents/nobody/${kind}`, headers);
      expect([kind, one.status]).toEqual([kind, kind === 'restart' ? 404 : 403]);
      const fields = { kind, agentId: 'nobody', count: '1' };
      // A resize takes parameters: it is not for several at once.
      const several = await submit('/bulk', headers, fields);
      expect([kind, several.status]).toEqual([
        kind,
        kind === 'restart' ? 200 : kind === 'resize' ? 404 : 403,
      ]);
    }
    expect((await submit('/bulk', headers, { kind: 'retry', agentId: 'nobody', count: '1' })).status).toBe(
      403,
    );
  });

  test('a form with a session’s cookie from another site is refused, whoever’s it is', PATIENT, async () => {
    const headers = { ...cookies.get('admin')!, 'sec-fetch-site': 'cross-site' };
    for (const path of forms()) {
      const { status } = await submit(path.replace(':kind', 'restart'), headers);
      expect([path, status]).toEqual([path, 403]);
    }
  });
});
