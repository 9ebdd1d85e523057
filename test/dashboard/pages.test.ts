import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentStatus } from '../../src/agents/states.ts';
import { createStatusLinks } from '../../src/dashboard/buyer/status-links.ts';
import { html } from '../../src/dashboard/html.ts';
import { requestableOperations } from '../../src/operations/registry.ts';
import { Secret } from '../../src/secret.ts';
import { API_TOKEN, startService, type TestService } from '../support/http-service.ts';
import { finishProvision } from '../support/operation-progress.ts';
import { deliver, paidCheckout } from '../support/stripe-events.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService({ checkoutUrl: 'http://127.0.0.1:4000/checkout' });
});
afterAll(() => service.stop());

/** Submits a form as a browser does on the same site. */
function submit(
  path: string,
  fields: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${service.url}${path}`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'sec-fetch-site': 'same-origin', origin: service.url, ...headers },
    body: new URLSearchParams(fields),
  });
}

async function signIn(): Promise<string> {
  const response = await submit('/sign-in', { token: API_TOKEN, next: '/' });
  expect(response.status).toBe(303);
  return response.headers.get('set-cookie')!.split(';')[0]!;
}

async function create(more: object = {}): Promise<string> {
  return (await order(more)).agentId;
}

async function order(more: object = {}): Promise<{ agentId: string; operationId: string }> {
  const response = await service.ask('/api/agents', {
    json: { userId: 'user-1', region: 'eu-west', ...more },
  });
  return (await response.json()) as { agentId: string; operationId: string };
}

describe('signing in', () => {
  it('redirects to the sign-in page, and back to the requested page afterwards', async () => {
    const response = await fetch(`${service.url}/agents/agent-1?x=1`, { redirect: 'manual' });
    expect(response.status).toBe(303);
    expect(response.headers.get('location')).toBe('/sign-in?next=%2Fagents%2Fagent-1%3Fx%3D1');
    const page = await (await fetch(`${service.url}${response.headers.get('location')}`)).text();
    expect(page).toContain('value="/agents/agent-1?x=1"');
    const signedIn = await submit('/sign-in', { token: API_TOKEN, next: '/agents/agent-1?x=1' });
    expect(signedIn.headers.get('location')).toBe('/agents/agent-1?x=1');
  });

  it('exchanges the token for an HttpOnly cookie that is not the token and that the API accepts', async () => {
    const response = await submit('/sign-in', { token: API_TOKEN, next: '/' });
    const cookie = response.headers.get('set-cookie')!;
    expect(cookie).toMatch(/; HttpOnly/);
    expect(cookie).toMatch(/; SameSite=Strict/);
    expect(cookie).not.toContain(API_TOKEN);
    expect((await service.ask('/api/agents', { headers: { cookie: cookie.split(';')[0]! } })).status).toBe(
      200,
    );
  });

  it('makes the cookie secure if the service is reached by https', async () => {
    const secure = await startService({ publicUrl: 'https://agents.example' });
    const response = await fetch(`${secure.url}/sign-in`, {
      method: 'POST',
      redirect: 'manual',
      headers: { origin: 'https://agents.example' },
      body: new URLSearchParams({ token: API_TOKEN }),
    });
    await secure.stop();
    expect(response.headers.get('set-cookie')).toMatch(/; Secure/);
    expect(response.headers.get('strict-transport-security')).not.toBeNull();
  });

  it('refuses forged and changed cookies', async () => {
    const cookie = await signIn();
    const { createTokenSigner } = await import('../../src/http/signed-token.ts');
    const name = cookie.split('=')[0];
    const forged = (secret: string, purpose: string, seconds: number) =>
      `${name}=${createTokenSigner(new Secret(secret), purpose).sign('operator', seconds)}`;
    const status = async (value: string) =>
      (await service.ask('/api/agents', { headers: { cookie: value } })).status;
    expect(await status(cookie)).toBe(200);
    // Signed cookies of earlier versions, which could not be revoked.
    expect(await status(forged(API_TOKEN, 'operator session', 60))).toBe(401);
    expect(await status(forged(API_TOKEN, 'buyer status', 60))).toBe(401);
    expect(await status(forged('another-token-entirely', 'operator session', 60))).toBe(401);
    expect(await status(`${cookie.slice(0, -2)}xx`)).toBe(401);
    expect(await status(`${name}=${API_TOKEN}`)).toBe(401);
  });

  it.each(['//evil.example', '/\\evil.example', 'https://evil.example', 'javascript:alert(1)', '/\r\nx: y'])(
    'does not redirect to %j',
    async (next) => {
      const response = await submit('/sign-in', { token: API_TOKEN, next });
      expect(response.headers.get('location')).toBe('/');
    },
  );

  it('signs out', async () => {
    const response = await submit('/sign-out', {}, { cookie: await signIn() });
    expect(response.headers.get('location')).toBe('/sign-in');
    expect(response.headers.get('set-cookie')).toMatch(/Expires=Thu, 01 Jan 1970/);
  });
});

describe('requests from other sites', () => {
  it.each([
    ['another site', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    ['another port of this host', { origin: 'http://127.0.0.1:1', 'sec-fetch-site': 'same-site' }],
    ['another site in an old browser', { origin: 'https://evil.example', 'sec-fetch-site': '' }],
    ['a hidden origin', { origin: 'null', 'sec-fetch-site': '' }],
    ['nowhere', { origin: '', 'sec-fetch-site': '' }],
  ])('from %s change nothing, although the browser sends the cookie', async (_name, given) => {
    const agentId = await create();
    const headers = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ''));
    const cookie = await signIn();
    for (const path of [`/agents/${agentId}/destroy`, `/api/agents/${agentId}/destroy`]) {
      const response = await fetch(`${service.url}${path}`, {
        method: 'POST',
        headers: { ...headers, cookie },
      });
      expect(response.status).toBe(403);
    }
    expect(await (await service.ask(`/api/agents/${agentId}`)).json()).toMatchObject({ status: 'requested' });
  });

  it('to another name of this host get no answer in sandbox mode', async () => {
    const { request } = await import('node:http');
    const answer = (host: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const outgoing = request(`${service.url}/healthz`, { headers: { host } }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        outgoing.on('error', reject).end();
      });
    expect(await answer('rebound.example')).toBe(421);
    expect(await answer('127.0.0.1.nip.example:8080')).toBe(421);
    expect(await answer('localhost:8080')).toBe(200);
    expect(await answer('[::1]:8080')).toBe(200);
  });
});

/** For an agent without snapshots. */
const kindsFrom = (status: AgentStatus) =>
  requestableOperations()
    .filter(({ from, needsSnapshot }) => from.includes(status) && needsSnapshot !== true)
    .map(({ kind }) => kind);

describe('the pages', () => {
  it('show every agent, what needs attention, the checkout, and that all is simulated', async () => {
    const { agentId, operationId } = await order();
    const { tailnetIp } = await finishProvision(service.database, { agentId, operationId });
    await deliver(service.url, paidCheckout({ region: '<b>mars</b>' }));
    const response = await service.ask('/');
    const page = await response.text();
    expect(response.headers.get('content-type')).toContain('text/html');
    for (const text of [`/agents/${agentId}`, 'Running', 'Healthy', '192.0.2.7', tailnetIp, 'simulated']) {
      expect(page).toContain(text);
    }
    expect(page).toContain('href="http://127.0.0.1:4000/checkout"');
    expect(page).toContain('&lt;b&gt;mars');
    expect(page).not.toContain('<b>mars');
  });

  it('have a strict policy and no inline scripts or styles', async () => {
    for (const path of ['/', `/agents/${await create()}`, '/sign-in']) {
      const response = await service.ask(path);
      expect(response.headers.get('content-security-policy')).toContain(
        "default-src 'none';script-src 'self'",
      );
      const page = await response.text();
      expect(page).not.toMatch(/<script(?![^>]* src=)|<style| style=| on[a-z]+=/i);
    }
  });

  it('offer the operations that the agent’s state allows, and confirm a rebuild', async () => {
    const { agentId, operationId } = await order();
    const buttons = async () => {
      const page = await (await service.ask(`/agents/${agentId}`)).text();
      return [...page.matchAll(new RegExp(` id="(\\w+)-${agentId}"`, 'g'))].map(([, kind]) => kind);
    };
    const always = ['hold', 'protect'];
    expect(await buttons()).toEqual(['destroy', ...always]);
    await finishProvision(service.database, { agentId, operationId });
    const running = await buttons();
    expect(running).toEqual([...kindsFrom('running'), ...always]);
    const changes = ['stop', 'restart', 'reconfigure', 'resize', 'refresh', 'rebuild', 'destroy'];
    expect(running).toEqual(expect.arrayContaining(changes));
    expect(running).not.toContain('start');
    const cookie = await signIn();
    const question = await service.ask(`/agents/${agentId}/rebuild`, { headers: { cookie } });
    expect(await question.text()).toMatch(/Rebuild [\s\S]*everything on it is lost/);
    expect((await service.ask(`/agents/${agentId}/stop`, { headers: { cookie } })).status).toBe(404);
    expect((await submit(`/agents/${agentId}/stop`, {}, { cookie })).status).toBe(303);
    expect((await submit(`/agents/${agentId}/rebuild`, {}, { cookie })).status).toBe(409);
    // While the stop is under way, nothing else that is exclusive is offered.
    expect(await buttons()).not.toContain('restart');
    await service.database
      .updateTable('agents')
      .set({ status: 'stopped' })
      .where('agent_id', '=', agentId)
      .execute();
    await service.database
      .updateTable('operations')
      .set({ status: 'succeeded', finished_at: sql`now()` })
      .where('agent_id', '=', agentId)
      .where('kind', '=', 'stop')
      .execute();
    const stopped = await buttons();
    expect(stopped).toEqual([...kindsFrom('stopped'), ...always]);
    expect(stopped).toEqual(expect.arrayContaining(['start', 'refresh', 'rebuild', 'destroy']));
    expect(stopped).not.toContain('stop');
  });

  it('ask for the plan of a resize, and refuse an unknown one', async () => {
    const { agentId, operationId } = await order();
    await finishProvision(service.database, { agentId, operationId });
    const cookie = await signIn();
    const page = await (await service.ask(`/agents/${agentId}/resize`, { headers: { cookie } })).text();
    expect(page).toMatch(/<select name="plan">(<option>\w+<\/option>)*<option>pro<\/option>/);
    expect((await submit(`/agents/${agentId}/resize`, {}, { cookie })).status).toBe(400);
    expect((await submit(`/agents/${agentId}/resize`, { plan: 'huge' }, { cookie })).status).toBe(400);
    expect((await submit(`/agents/${agentId}/resize`, { plan: 'starter' }, { cookie })).status).toBe(409);
    expect((await submit(`/agents/${agentId}/resize`, { plan: 'pro' }, { cookie })).status).toBe(303);
    const row = await service.database
      .selectFrom('operations')
      .select('parameters')
      .where('agent_id', '=', agentId)
      .where('kind', '=', 'resize')
      .executeTakeFirstOrThrow();
    expect(row.parameters).toEqual({ plan: 'pro' });
  });

  it('confirm a destroy before they request it', async () => {
    const { agentId, operationId } = await order();
    await finishProvision(service.database, { agentId, operationId });
    const cookie = await signIn();
    const question = await service.ask(`/agents/${agentId}/destroy`, { headers: { cookie } });
    expect(await question.text()).toContain(`Destroy ${agentId}?`);
    expect(await (await service.ask(`/api/agents/${agentId}`)).json()).toMatchObject({ status: 'running' });
    const response = await submit(`/agents/${agentId}/destroy`, {}, { cookie });
    expect(response.headers.get('location')).toBe(`/agents/${agentId}`);
    expect(await (await service.ask(`/api/agents/${agentId}`)).json()).toMatchObject({
      status: 'destroying',
    });
    const again = await submit(`/agents/${agentId}/destroy`, {}, { cookie });
    expect(again.status).toBe(409);
    expect(again.headers.get('content-type')).toContain('text/html');
    expect((await submit(`/agents/${agentId}/explode`, {}, { cookie })).status).toBe(404);
    expect((await service.ask('/agents/none-such')).status).toBe(404);
  });
});

describe('the buyer’s page', () => {
  const links = () => createStatusLinks({ apiToken: new Secret(API_TOKEN), publicUrl: service.url });

  it('shows progress and nothing else', async () => {
    const { agentId, operationId } = await order({ userId: 'secret-user' });
    const waiting = await (await fetch(links().statusUrl(agentId))).text();
    expect(waiting).toContain('next in line');
    expect(waiting).toContain('http-equiv="refresh"');
    const { tailnetIp } = await finishProvision(service.database, { agentId, operationId });
    const response = await fetch(links().statusUrl(agentId));
    const page = await response.text();
    expect(page).toContain('Your agent is running');
    for (const text of ['secret-user', '192.0.2.7', tailnetIp, '4711', 'Refresh', 'Destroy', 'http-equiv']) {
      expect(page).not.toContain(text);
    }
    expect(response.headers.get('referrer-policy')).toBe('no-referrer');
  });

  it('reports a failure without its text', async () => {
    const agentId = await create();
    await service.database
      .updateTable('agents')
      .set({ status: 'failed', error: 'hcloud: token abc' })
      .where('agent_id', '=', agentId)
      .execute();
    const page = await (await fetch(links().statusUrl(agentId))).text();
    expect(page).toContain('Something went wrong');
    expect(page).not.toContain('hcloud');
  });

  it('needs its own, unexpired token', async () => {
    const [agentId, other] = [await create(), await create()];
    const foreign = new URL(links().statusUrl(other)).search;
    const status = async (query: string) => (await fetch(`${service.url}/status/${agentId}${query}`)).status;
    expect(await status(new URL(links().statusUrl(agentId)).search)).toBe(200);
    expect(await status(foreign)).toBe(403);
    expect(await status('')).toBe(403);
    expect(await status(`?token=${API_TOKEN}`)).toBe(403);
    const { createTokenSigner } = await import('../../src/http/signed-token.ts');
    const expired = createTokenSigner(new Secret(API_TOKEN), 'buyer status').sign(agentId, -1);
    expect(await status(`?token=${expired}`)).toBe(403);
  });
});

it('escapes its content', () => {
  expect(html`<a title="${'"><script>'}">${['a', null, false, 0, html`<b>${"'&"}</b>`]}</a>`.toString()).toBe(
    '<a title="&quot;&gt;&lt;script&gt;">a0<b>&#39;&amp;</b></a>',
  );
});
